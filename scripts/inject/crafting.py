"""Packets made after a recipe, with right lengths and checksums."""

from collections.abc import Iterator
from typing import Final

from podwire.proto.packet import ipv4, ipv6, sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import ECHO_REQUEST, Icmp
from podwire.proto.packet.icmpv6 import ECHO_REQUEST as ECHO_REQUEST6
from podwire.proto.packet.icmpv6 import build_message
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.tcp import Tcp, build_segment
from podwire.proto.packet.udp import build_datagram
from podwire.scripts.errors import UserError
from podwire.scripts.inject.recipe import Recipe
from podwire.services.chassis.chance import RandomBits

_LOW, _PORTS = 32768, 28232
"""net.ipv4.ip_local_port_range, as Linux has it."""
_WINDOW: Final = 106496


def craft(recipe: Recipe, random: RandomBits) -> Iterator[bytes]:
    """The packets, each from the next source port and with the next sequence number of an echo. Raises UserError."""
    first = random.getrandbits(16) % _PORTS
    for index in range(recipe.count):
        port = _LOW + (first + index) % _PORTS if recipe.source_port is None else recipe.source_port
        try:
            yield build_packet(
                recipe.source,
                recipe.destination,
                recipe.protocol,
                _transport(recipe, port, index, random),
                ttl=recipe.ttl,
                tos=recipe.tos,
                identification=random.getrandbits(16),
                fragment=ipv4.DONT_FRAGMENT if recipe.dont_fragment else 0,
            )
        except PacketError as error:
            raise UserError(f"--payload: {len(recipe.payload)} bytes do not fit ({error.reason})") from None


def _transport(recipe: Recipe, port: int, index: int, random: RandomBits) -> bytes:
    match recipe.protocol:
        case ipv4.TCP:
            sequence = random.getrandbits(32) if recipe.sequence is None else recipe.sequence
            header = Tcp(port, recipe.port, sequence, recipe.acknowledgement, flags=recipe.flags, window=recipe.window)
            return build_segment(recipe.source, recipe.destination, header, recipe.payload)
        case ipv4.UDP:
            return build_datagram(recipe.source, port, recipe.destination, recipe.port, recipe.payload)
        case ipv4.SCTP:
            return _sctp(recipe, port, random)
        case ipv4.ICMP | ipv6.ICMPV6:
            return _icmp(recipe, port, index)
    return recipe.payload


def _icmp(recipe: Recipe, identifier: int, index: int) -> bytes:
    is_six = recipe.protocol == ipv6.ICMPV6
    usual = ECHO_REQUEST6 if is_six else ECHO_REQUEST
    kind = usual if recipe.icmp_type is None else recipe.icmp_type
    header = Icmp(kind, recipe.icmp_code, identifier << 16 | (index + 1) & 0xFFFF)
    if is_six:
        return build_message(recipe.source, recipe.destination, header, recipe.payload)
    return header.build(recipe.payload)


def _sctp(recipe: Recipe, port: int, random: RandomBits) -> bytes:
    """An INIT; with a payload a DATA chunk, which belongs to no association."""
    if recipe.payload:
        flags = sctp.BEGINNING | sctp.ENDING
        chunk = sctp.Data(flags, random.getrandbits(32), 0, 0, 0, recipe.payload).chunk()
        return sctp.Sctp(port, recipe.port, random.getrandbits(32), (chunk,)).build()
    tag = random.getrandbits(32) or 1
    body = sctp.Init(tag, _WINDOW, 10, 65535, random.getrandbits(32)).build()
    return sctp.Sctp(port, recipe.port, 0, (sctp.Chunk(sctp.INIT, 0, body),)).build()
