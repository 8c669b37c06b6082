"""Sockets of the machine's namespaces for code that awaits: programs, images, claimed containers, probes."""
