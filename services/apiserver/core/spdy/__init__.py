"""SPDY/3.1, sans-IO: bytes in, events out; commands in, bytes out."""
