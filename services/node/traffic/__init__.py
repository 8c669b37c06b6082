"""Packets from outside the programs: sent as an operator wants them, seen as they pass."""
