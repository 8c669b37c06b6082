"""A frame as nested tuples, without what the machines chose freely: ports, identifiers, checksums over those.

The checksums themselves are verified: a wrong one shows.
"""

from typing import Any, Final

from podwire.proto.packet.checksum import internet_checksum, transport_checksum
from podwire.proto.packet.icmp import ERRORS, Icmp
from podwire.proto.packet.ipv4 import ICMP, TCP, UDP, IPv4
from podwire.proto.packet.tcp import Tcp
from podwire.proto.packet.vxlan import LINUX_PORT, Vxlan

KNOWN_PORTS: Final = (53, 80, 443, 5353, 5555, 8080, 8472, 30080)
KNOWN_IDENTIFIER: Final = 7


def canonical_frame(frame: bytes) -> tuple[Any, ...]:
    """Link addresses and what is inside."""
    return frame[:6].hex(":"), frame[6:12].hex(":"), canonical_packet(frame[14:])


def canonical_packet(data: bytes, *, is_quoted: bool = False) -> tuple[Any, ...]:
    """An IPv4 packet; `is_quoted` allows it to be cut off."""
    if is_quoted:
        data = data.ljust(int.from_bytes(data[2:4]), b"\0") if len(data) < int.from_bytes(data[2:4]) else data
    header, at = IPv4.parse(data)
    payload = data[at : header.total_length]
    ends = header.source, header.destination
    fields = (*ends, header.protocol, header.ttl, header.tos, header.fragment, len(payload))
    if header.fragment & 0x3FFF and not is_quoted:
        return (*fields, payload.hex() if header.fragment & 0x1FFF else payload[20:].hex())
    if header.protocol == UDP:
        return (*fields, *_udp(ends, payload, is_quoted))
    if header.protocol == TCP:
        return (*fields, *_tcp(ends, payload, is_quoted))
    return (*fields, *_icmp(payload)) if header.protocol == ICMP else (*fields, payload)


def _port(number: int) -> int | str:
    return number if number in KNOWN_PORTS else "any"


def _udp(ends: tuple[int, int], payload: bytes, is_quoted: bool) -> tuple[Any, ...]:
    source, destination = int.from_bytes(payload[:2]), int.from_bytes(payload[2:4])
    has_checksum = payload[6:8] != b"\0\0"
    sound = is_quoted or not has_checksum or not transport_checksum(*ends, UDP, payload)
    if destination == LINUX_PORT:
        vxlan, at = Vxlan.parse(payload, 8)
        if payload[at + 20] & 0x1F or payload[at + 21]:
            return "vxlan", "fragment", has_checksum  # Linux goes on to change later fragments under its own capture
        return "vxlan", vxlan.vni, has_checksum, canonical_frame(payload[at:])
    return _port(source), _port(destination), has_checksum, sound, "" if is_quoted else payload[8:].hex()


def _tcp(ends: tuple[int, int], payload: bytes, is_quoted: bool) -> tuple[Any, ...]:
    if is_quoted:
        return _port(int.from_bytes(payload[:2])), _port(int.from_bytes(payload[2:4]))
    header, at = Tcp.parse(payload)
    ports = _port(header.source_port), _port(header.destination_port)
    numbers = header.sequence, header.acknowledgement, header.flags, header.window
    return (*ports, *numbers, not transport_checksum(*ends, TCP, payload), payload[at:].hex())


def _icmp(payload: bytes) -> tuple[Any, ...]:
    if internet_checksum(payload):
        return ("bad checksum", payload.hex())
    header, at = Icmp.parse(payload)
    if header.type in ERRORS:
        return header.type, header.code, header.rest, canonical_packet(payload[at:], is_quoted=True)
    identifier = header.identifier if header.identifier == KNOWN_IDENTIFIER else "any"
    return header.type, header.code, identifier, header.sequence, payload[at:].hex()
