"""CNI plugins as programs of the machine: configuration and state are its files, effects are kernel operations."""
