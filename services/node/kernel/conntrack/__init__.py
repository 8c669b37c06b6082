"""Connection tracking and the address translation that rests on it."""
