"""A POSIX shell with busybox ash's messages: `parser` makes a tree (pure), `interpreter` runs it."""
