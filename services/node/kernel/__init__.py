"""An emulated Linux network stack: synchronous, sans-IO, deterministic. See README.md for its API."""
