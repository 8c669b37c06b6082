"""Every header survives build → parse, refuses every truncation, and ignores what trails it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.packet.arp import Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import IPv4, build_packet
from podwire.proto.packet.tcp import Tcp
from podwire.proto.packet.udp import Udp
from podwire.proto.packet.vxlan import Vxlan

MAC = st.binary(min_size=6, max_size=6)
U32 = st.integers(0, 2**32 - 1)
U16 = st.integers(0, 2**16 - 1)
U8 = st.integers(0, 255)

HEADERS: dict[str, st.SearchStrategy[Any]] = {
    "ethernet": st.builds(Ethernet, MAC, MAC, U16),
    "arp": st.builds(Arp, U16, MAC, U32, MAC, U32),
    "tcp": st.builds(
        Tcp,
        U16,
        U16,
        U32,
        U32,
        U8,
        U16,
        U16,
        U16,
        st.none() | U16,
        st.none() | U8,
        st.booleans(),
        st.none() | st.tuples(U32, U32),
    ),
    "vxlan": st.builds(Vxlan, st.integers(0, 2**24 - 1)),
    "udp": st.builds(Udp, U16, U16, st.just(8), U16),
}


@pytest.mark.parametrize("name", HEADERS)
@given(data=st.data(), tail=st.binary(max_size=9))
def test_build_then_parse_is_identity(name: str, data: st.DataObject, tail: bytes) -> None:
    header = data.draw(HEADERS[name])
    octets = header.build()
    assert type(header).parse(octets + tail) == (header, len(octets))
    assert type(header).parse(memoryview(b"??" + octets), 2) == (header, len(octets) + 2)


@pytest.mark.parametrize("name", HEADERS)
@given(data=st.data())
def test_every_truncation_is_refused(name: str, data: st.DataObject) -> None:
    header = data.draw(HEADERS[name])
    octets = header.build()
    cut = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(PacketError):
        type(header).parse(octets[:cut])


@given(source=U32, destination=U32, protocol=U8, payload=st.binary(max_size=64), padding=st.binary(max_size=9))
def test_ipv4_round_trip_ignores_padding(
    source: int, destination: int, protocol: int, payload: bytes, padding: bytes
) -> None:
    packet = build_packet(source, destination, protocol, payload)
    header, at = IPv4.parse(packet + padding)
    assert (header.source, header.destination, header.protocol) == (source, destination, protocol)
    assert (packet + padding)[at : header.total_length] == payload


@given(options=st.binary(min_size=1, max_size=40), payload=st.binary(max_size=20))
def test_ipv4_options_are_carried_padded(options: bytes, payload: bytes) -> None:
    padded = options + bytes(-len(options) % 4)
    header = IPv4(1, 2, 17, 20 + len(padded) + len(payload), options=options)
    parsed, at = IPv4.parse(header.build() + payload)
    assert (parsed.options, at) == (padded, 20 + len(padded))


@given(packet=st.binary(max_size=80))
def test_random_bytes_never_crash_a_parser(packet: bytes) -> None:
    for parser in (Ethernet, Arp, IPv4, Udp, Tcp, Icmp, Vxlan):
        try:
            parser.parse(packet)
        except PacketError:
            pass


@pytest.mark.parametrize(
    ("position", "octet", "reason"),
    [
        (0, 0x65, "version"),
        (0, 0x44, "header length"),
        (3, 99, "total length"),
        (3, 19, "total length"),
        (10, 0xEE, "checksum"),
    ],
)
def test_a_lying_ipv4_header_is_refused(position: int, octet: int, reason: str) -> None:
    packet = bytearray(build_packet(1, 2, 17, b"hello"))
    packet[position] = octet
    with pytest.raises(PacketError, match=reason):
        IPv4.parse(bytes(packet))


@given(kind=U8, code=U8, rest=U32, payload=st.binary(max_size=40))
def test_icmp_round_trip(kind: int, code: int, rest: int, payload: bytes) -> None:
    octets = Icmp(kind, code, rest).build(payload)
    header, at = Icmp.parse(octets)
    assert (header.type, header.code, header.rest, octets[at:]) == (kind, code, rest, payload)
    with pytest.raises(PacketError):
        Icmp.parse(octets[:7])
