"""awk (POSIX.1-2017): what one-liners use; the rest is refused by name."""
