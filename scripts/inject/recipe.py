"""What packets to make: the fields of `podwire inject`, checked."""

import re
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet import ipv4, tcp
from podwire.proto.packet.addresses import is_ipv6, parse_address
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.scripts.errors import UserError

MOST: Final = 100_000
"""Packets at once at most."""
LARGEST_PAYLOAD: Final = 65535 - 40
_PROTOCOLS: Final = {"tcp": ipv4.TCP, "udp": ipv4.UDP, "sctp": ipv4.SCTP, "icmp": ipv4.ICMP}
_FLAGS: Final = {
    "F": tcp.FIN,
    "S": tcp.SYN,
    "R": tcp.RST,
    "P": tcp.PSH,
    "A": tcp.ACK,
    ".": tcp.ACK,
    "U": tcp.URG,
    "E": tcp.ECE,
    "C": tcp.CWR,
}
_WITH_PORTS: Final = (ipv4.TCP, ipv4.UDP, ipv4.SCTP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a user may set, as it was given; None and "" mean what a usual packet has."""

    protocol: str = ""
    tcp_flags: str = ""
    seq: int | None = None
    ack: int | None = None
    window: int | None = None
    ttl: int | None = None
    dscp: int | None = None
    df: bool = False
    icmp_type: int | None = None
    icmp_code: int | None = None
    payload: str = ""
    payload_hex: str = ""
    payload_size: int | None = None
    source_address: str = ""
    source_port: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Packets to make; addresses are numbers. A source port of None is another one for each packet."""

    protocol: int
    source: int
    destination: int
    port: int
    source_port: int | None
    ttl: int
    tos: int
    dont_fragment: bool
    payload: bytes
    flags: int
    sequence: int | None
    acknowledgement: int
    window: int
    icmp_type: int | None
    icmp_code: int
    count: int


def recipe(fields: Fields, own_address: str, destination: str, port: int) -> Recipe:
    """The packets that fields mean, from a source whose own address is given. Raises UserError that names the field."""
    target = parse_address(destination)
    protocol = protocol_number(fields.protocol, port, six=is_ipv6(target))
    _check_port(protocol, port, destination)
    _check_belonging(fields, protocol)
    if fields.df and is_ipv6(target):
        raise UserError(f"--df: {destination} is IPv6, whose packets routers never fragment; leave the option out")
    return Recipe(
        protocol=protocol,
        source=_source(fields.source_address, own_address, target, destination),
        destination=target,
        port=port,
        source_port=_number("--source-port", fields.source_port, 65535, None),
        ttl=_number("--ttl", fields.ttl, 255, 64) or 0,
        tos=(_number("--dscp", fields.dscp, 63, 0) or 0) << 2,
        dont_fragment=fields.df,
        payload=payload(fields),
        flags=tcp_flags(fields.tcp_flags),
        sequence=_number("--seq", fields.seq, 0xFFFFFFFF, None),
        acknowledgement=_number("--ack", fields.ack, 0xFFFFFFFF, 0) or 0,
        window=0xFFFF if (window := _number("--window", fields.window, 65535, None)) is None else window,
        icmp_type=_number("--icmp-type", fields.icmp_type, 255, None),
        icmp_code=_number("--icmp-code", fields.icmp_code, 255, 0) or 0,
        count=_count(fields.count),
    )


def _number(option: str, value: int | None, most: int, otherwise: int | None) -> int | None:
    if value is None:
        return otherwise
    if not 0 <= value <= most:
        raise UserError(f"{option} {value}: a number from 0 to {most} is needed")
    return value


def _count(count: int) -> int:
    if not 1 <= count <= MOST:
        raise UserError(f"--count {count}: a number from 1 to {MOST} is needed")
    return count


def protocol_number(text: str, port: int, *, six: bool) -> int:
    """tcp, udp, sctp, icmp or a number; without a text tcp if there is a port, else icmp. Raises UserError."""
    name = text.lower() or ("tcp" if port else "icmp")
    if name == "icmp" and six:
        return ICMPV6
    if name in _PROTOCOLS:
        return _PROTOCOLS[name]
    if re.fullmatch(r"[0-9]{1,3}", name) and int(name) <= 255:
        return int(name)
    raise UserError(f"--protocol {text}: tcp, udp, sctp, icmp or a number from 0 to 255 is needed")


def _check_port(protocol: int, port: int, destination: str) -> None:
    if protocol in _WITH_PORTS and not port:
        raise UserError(f"--to {destination}: this protocol needs a port, as in {destination}:80")
    if protocol not in _WITH_PORTS and port:
        raise UserError(f"--to {destination}:{port}: protocol {protocol} has no ports; leave the port out")


def _check_belonging(fields: Fields, protocol: int) -> None:
    """A field of one protocol in a packet of another is a mistake."""
    is_tcp, is_icmp = protocol == ipv4.TCP, protocol in (ipv4.ICMP, ICMPV6)
    for option, value, fits, whose in (
        ("--tcp-flags", fields.tcp_flags or None, is_tcp, "tcp"),
        ("--seq", fields.seq, is_tcp, "tcp"),
        ("--ack", fields.ack, is_tcp, "tcp"),
        ("--window", fields.window, is_tcp, "tcp"),
        ("--icmp-type", fields.icmp_type, is_icmp, "icmp"),
        ("--icmp-code", fields.icmp_code, is_icmp, "icmp"),
        ("--source-port", fields.source_port, protocol in _WITH_PORTS, "tcp, udp or sctp"),
    ):
        if value is not None and not fits:
            raise UserError(f"{option} {value}: only packets of {whose} have it; this one has protocol {protocol}")


def tcp_flags(text: str) -> int:
    """Letters of F S R P A U E C, in any order; SYN without a text, and no flag for `none`. Raises UserError."""
    if text.lower() == "none":
        return 0
    unknown = [letter for letter in text.upper() if letter not in _FLAGS]
    if unknown:
        raise UserError(f"--tcp-flags {text}: {unknown[0]!r} is none of F S R P A U E C (or none, for no flag)")
    flags = 0
    for letter in text.upper() or "S":
        flags |= _FLAGS[letter]
    return flags


def payload(fields: Fields) -> bytes:
    """The bytes to carry: a text, hexadecimal digits, or so many bytes. Raises UserError."""
    given = [bool(fields.payload), bool(fields.payload_hex), fields.payload_size is not None]
    if sum(given) > 1:
        raise UserError("--payload, --payload-hex, --payload-size: only one of them can be given")
    if fields.payload_size is not None:
        size = _number("--payload-size", fields.payload_size, LARGEST_PAYLOAD, 0) or 0
        return bytes(index & 0xFF for index in range(size))
    octets = _hexadecimal(fields.payload_hex) if fields.payload_hex else fields.payload.encode(errors="surrogateescape")
    if len(octets) > LARGEST_PAYLOAD:
        raise UserError(f"--payload: {len(octets)} bytes; at most {LARGEST_PAYLOAD} fit a packet")
    return octets


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UserError(f"--payload-hex {text[:40]}: pairs of hexadecimal digits are needed") from None


def _source(text: str, own: str, target: int, destination: str) -> int:
    family = "IPv6" if is_ipv6(target) else "IPv4"
    try:
        source = parse_address(text or own)
    except PacketError:
        if not text:
            raise UserError(f"--source-address: the source has no {family} address of its own; give one") from None
        raise UserError(f"--source-address {text}: an {family} address is needed") from None
    if is_ipv6(source) != is_ipv6(target):
        if text:
            raise UserError(f"--source-address {text}: an {family} address is needed to reach {destination}")
        raise UserError(f"--source-address: the source has no {family} address of its own; give one")
    return source
