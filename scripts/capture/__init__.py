"""Capturing what passes the devices of a cluster, into one pcapng file."""
