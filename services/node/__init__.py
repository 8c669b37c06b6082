"""The machine: an emulated kernel, node files and the tasks of containers."""
