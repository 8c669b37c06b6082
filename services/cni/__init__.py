"""CNI agents: one folder a plugin whose real counterpart runs a process on every node."""
