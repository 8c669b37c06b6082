"""MAC and IPv4 addresses: six bytes and a 32-bit number inside, the usual text outside."""

from functools import lru_cache
from typing import Final

from podwire.proto.packet.errors import PacketError

BROADCAST_MAC: Final = b"\xff" * 6
ZERO_MAC: Final = b"\x00" * 6


@lru_cache(4096)
def format_ipv4(address: int) -> str:
    """Dotted-quad text of a 32-bit address."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


@lru_cache(4096)
def parse_ipv4(text: str) -> int:
    """The 32-bit number of dotted-quad text; PacketError if it is not that."""
    parts = text.split(".")
    if len(parts) != 4:
        raise PacketError(f"not an IPv4 address: {text!r}")
    number = 0
    for part in parts:
        if not (part.isascii() and part.isdigit()) or len(part) > 3 or int(part) > 255 or part != str(int(part)):
            raise PacketError(f"not an IPv4 address: {text!r}")
        number = number << 8 | int(part)
    return number


def prefix_mask(length: int) -> int:
    """The netmask, as a number, of a prefix length 0..32."""
    return 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF


@lru_cache(4096)
def parse_prefix(text: str) -> tuple[int, int]:
    """(address, prefix length) of `10.244.0.0/16`, `10.0.0.1` (a /32) or `default`; host bits are kept."""
    if text in ("default", "all", "any"):
        return 0, 0
    address, slash, length = text.partition("/")
    if not slash:
        return parse_ipv4(address), 32
    if not (length.isascii() and length.isdigit()) or len(length) > 2 or int(length) > 32:
        raise PacketError(f"not a prefix length: {text!r}")
    return parse_ipv4(address), int(length)


@lru_cache(4096)
def format_mac(address: bytes) -> str:
    """Colon-separated lower-case text of six bytes."""
    return address.hex(":")


@lru_cache(4096)
def parse_mac(text: str) -> bytes:
    """Six bytes of colon-separated text; PacketError if it is not that."""
    parts = text.split(":")
    try:
        octets = bytes(int(part, 16) for part in parts if 0 < len(part) <= 2)
    except ValueError:
        octets = b""
    if len(parts) != 6 or len(octets) != 6:
        raise PacketError(f"not a MAC address: {text!r}")
    return octets


def is_group_mac(address: bytes) -> bool:
    """Whether a MAC is broadcast or multicast."""
    return bool(address[0] & 1)


def is_multicast(address: int) -> bool:
    """Whether an IPv4 address lies in 224.0.0.0/4."""
    return address >> 28 == 14
