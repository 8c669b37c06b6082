"""Arithmetic of 32-bit sequence numbers (RFC 9293 section 3.4)."""


def distance(start: int, end: int) -> int:
    """How far `end` is ahead of `start`; negative if behind."""
    return ((end - start + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def advanced(sequence: int, octets: int) -> int:
    """A sequence number some octets on."""
    return (sequence + octets) & 0xFFFFFFFF
