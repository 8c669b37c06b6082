"""The recorder: keeps what machines tell of traced packets, for those who ask."""
