"""MAC and IP addresses: six bytes and a number inside, the usual text outside.

One number names an address of either family: an IPv4 address is its 32 bits, an IPv6 address its 128 bits with
`IPV6` above them. `IPV6` is a multiple of 65535, so that checksums over such numbers don't see it.
"""

import ipaddress
from functools import lru_cache
from typing import Final

from podwire.proto.packet.errors import PacketError

BROADCAST_MAC: Final = b"\xff" * 6
ZERO_MAC: Final = b"\x00" * 6
IPV6: Final = 0xFFFF << 128
_ALL_OF_IPV6: Final = (1 << 144) - 1
_MAPPED: Final = 0xFFFF
_OCTETS: Final = {str(number): number for number in range(256)}


@lru_cache(4096)
def format_ipv4(address: int) -> str:
    """Dotted-quad text of a 32-bit address."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


@lru_cache(4096)
def parse_ipv4(text: str) -> int:
    """The 32-bit number of dotted-quad text; PacketError if it is not that."""
    try:
        first, second, third, fourth = text.split(".")
        return _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
    except (KeyError, ValueError):
        raise PacketError(f"not an IPv4 address: {text!r}") from None


def is_ipv6(address: int) -> bool:
    """Whether a number names an IPv6 address."""
    return address > 0xFFFFFFFF


@lru_cache(4096)
def format_ipv6(address: int) -> str:
    """RFC 5952 text of an IPv6 address, as inet_ntop writes it."""
    number = address ^ IPV6
    if number >> 32 == _MAPPED:
        return f"::ffff:{format_ipv4(number & 0xFFFFFFFF)}"
    return ipaddress.IPv6Address(number).compressed


@lru_cache(4096)
def parse_ipv6(text: str) -> int:
    """The number of an IPv6 address's text, without a zone; PacketError if it is not that."""
    try:
        if "%" in text or "/" in text:
            raise ValueError
        return IPV6 | int(ipaddress.IPv6Address(text))
    except ValueError:
        raise PacketError(f"not an IPv6 address: {text!r}") from None


def ipv6_octets(address: int) -> bytes:
    """The 16 bytes of an IPv6 address."""
    return (address ^ IPV6).to_bytes(16)


def ipv6_number(octets: bytes | bytearray | memoryview) -> int:
    """The number of 16 bytes."""
    return IPV6 | int.from_bytes(octets, "big")


def format_address(address: int) -> str:
    """The text of an address of either family."""
    return format_ipv6(address) if address > 0xFFFFFFFF else format_ipv4(address)


def parse_address(text: str) -> int:
    """The number of an address of either family; PacketError if it is neither."""
    return parse_ipv6(text) if ":" in text else parse_ipv4(text)


def prefix_mask(length: int) -> int:
    """The netmask, as a number, of an IPv4 prefix length 0..32."""
    return 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF


def prefix_mask6(length: int) -> int:
    """The netmask of an IPv6 prefix length 0..128; it keeps the family."""
    return _ALL_OF_IPV6 << (128 - length) & _ALL_OF_IPV6


def mask_for(address: int, length: int) -> int:
    """The netmask of a prefix length in an address's family."""
    return prefix_mask6(length) if address > 0xFFFFFFFF else prefix_mask(length)


def address_bits(address: int) -> int:
    """32 or 128."""
    return 128 if address > 0xFFFFFFFF else 32


@lru_cache(4096)
def parse_prefix(text: str) -> tuple[int, int]:
    """(address, prefix length) of `10.244.0.0/16`, `fd00::/64`, `10.0.0.1` (a /32) or `default`; host bits are kept.

    `default`, `all` and `any` are IPv4's.
    """
    if text in ("default", "all", "any"):
        return 0, 0
    address, slash, length = text.partition("/")
    number = parse_address(address)
    bits = address_bits(number)
    if not slash:
        return number, bits
    if not (length.isascii() and length.isdigit()) or len(length) > 3 or int(length) > bits:
        raise PacketError(f"not a prefix length: {text!r}")
    return number, int(length)


def format_prefix(address: int, length: int) -> str:
    """`address/length`; the length is left out where it is the whole address."""
    return format_address(address) + ("" if length == address_bits(address) else f"/{length}")


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


def mac_of(address: str) -> str:
    """A locally administered MAC that follows from the address as Docker makes them: 02:42 and the last four octets."""
    octets = ipaddress.ip_interface(address).packed[-4:]
    return f"02:42:{octets.hex(':')}"


def is_group_mac(address: bytes) -> bool:
    """Whether a MAC is broadcast or multicast."""
    return bool(address[0] & 1)


def is_multicast(address: int) -> bool:
    """Whether an address lies in 224.0.0.0/4 or ff00::/8."""
    return address >> 28 == 14 or address >> 120 == _MULTICAST6


def is_link_local(address: int) -> bool:
    """Whether an address lies in fe80::/10 (169.254.0.0/16 is routed like any other)."""
    return address >> 118 == _LINK_LOCAL6


def multicast_mac(address: int) -> bytes:
    """The group MAC of a multicast address (RFC 1112 section 6.4, RFC 2464 section 7)."""
    if address > 0xFFFFFFFF:
        return b"\x33\x33" + (address & 0xFFFFFFFF).to_bytes(4)
    return b"\x01\x00\x5e" + (address & 0x7FFFFF).to_bytes(3)


_MULTICAST6: Final = IPV6 >> 120 | 0xFF
_LINK_LOCAL6: Final = IPV6 >> 118 | 0xFE80 >> 6
