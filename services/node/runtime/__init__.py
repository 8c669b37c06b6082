"""The container runtime of a machine: sandboxes and containers, by the verbs of CRI."""
