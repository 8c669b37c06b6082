"""Frames: headers to and from real bytes. No I/O, no state, no crash on foreign bytes."""
