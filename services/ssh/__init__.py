"""SSH to the machines of a live cluster."""
