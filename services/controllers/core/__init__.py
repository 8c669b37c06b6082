"""The pure core: what is there goes in, the writes that are due come out."""
