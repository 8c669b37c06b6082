"""Following a packet: where it starts, what happens to it, how that is shown."""
