"""CRC32c, the checksum of SCTP (RFC 9260 appendix A): Castagnoli's polynomial, reflected."""

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78


def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_TABLE: Final = _table()


def crc32c(octets: bytes | bytearray | memoryview) -> int:
    """The checksum as a number; 0xE3069283 for b"123456789"."""
    table, register = _TABLE, 0xFFFFFFFF
    for octet in octets:
        register = register >> 8 ^ table[(register ^ octet) & 0xFF]
    return register ^ 0xFFFFFFFF
