"""The real thing: the real clock, real chance, real processes."""
