"""Breaking a cluster: what can be done to it, and what that means for each process."""
