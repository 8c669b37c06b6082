"""The internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3)."""


def internet_checksum(octets: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """Ones' complement of the ones' complement sum of 16-bit words; `initial` is added to the sum first.

    The sum of base-65536 digits is the number modulo 65535, which CPython computes at C speed.
    """
    total = int.from_bytes(octets, "big")
    if len(octets) & 1:
        total <<= 8
    total += initial
    if not total:
        return 0xFFFF
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)


def updated_checksum(checksum: int, old: int, new: int) -> int:
    """The checksum after the sum of some 16-bit words went from `old` to `new`."""
    return 0xFFFF - ((0xFFFF - checksum + checksum_delta(old, new)) % 0xFFFF or 0xFFFF)


def checksum_delta(old: int, new: int) -> int:
    """What to add to the complement of a checksum when words summing to `old` become `new`; 1..65535."""
    return (new - old) % 0xFFFF or 0xFFFF


def pseudo_header_sum(source: int, destination: int, protocol: int, length: int) -> int:
    """Sum of the pseudo-header's words, to be given to internet_checksum as `initial`; addresses of either family."""
    return source + destination + protocol + length


def transport_checksum(source: int, destination: int, protocol: int, segment: bytes | bytearray | memoryview) -> int:
    """Checksum of a TCP, UDP or ICMPv6 message under its pseudo-header; 0 if a filled-in one is right."""
    return internet_checksum(segment, pseudo_header_sum(source, destination, protocol, len(segment)))
