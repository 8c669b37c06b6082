"""Packets from a user's fields: scapy reads what was meant; what cannot be is refused with field, value and remedy."""

from dataclasses import fields as fields_of
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.sctp import SCTPChunkData, SCTPChunkInit

from podwire.proto.packet.summary import summarize_packet
from podwire.scripts.errors import UserError
from podwire.scripts.inject.crafting import craft
from podwire.scripts.inject.recipe import LARGEST_PAYLOAD, MOST, Fields, recipe
from podwire.services.chassis.chance import RandomStream


def made(to: str = "10.96.0.1", port: int = 80, own: str = "10.244.1.5", **given_: Any) -> list[bytes]:
    return list(craft(recipe(Fields(**given_), own, to, port), RandomStream(7)))


def test_a_syn_like_hpings() -> None:
    [first, second] = [IP(packet) for packet in made(count=2, ttl=9, dscp=46, df=True, seq=5, window=17)]
    assert (first.src, first.dst, first.ttl, first.tos, int(first.flags)) == ("10.244.1.5", "10.96.0.1", 9, 184, 2)
    assert (first[TCP].flags, first[TCP].dport, first[TCP].seq, first[TCP].window) == ("S", 80, 5, 17)
    assert second[TCP].sport == first[TCP].sport + 1


@pytest.mark.parametrize(
    ("letters", "flags"), [("S", "S"), ("sa", "SA"), ("FPU", "FPU"), (".", "A"), ("none", ""), ("RAEC", "RAEC")]
)
def test_tcp_flags(letters: str, flags: str) -> None:
    [packet] = made(tcp_flags=letters)
    assert sorted(str(IP(packet)[TCP].flags)) == sorted(flags)


@pytest.mark.parametrize(
    ("given_", "load"),
    [
        ({"payload": "hällo"}, "hällo".encode()),
        ({"payload_hex": "00ff 10"}, b"\x00\xff\x10"),
        ({"payload_size": 300}, bytes(index & 255 for index in range(300))),
        ({"payload_size": 0}, b""),
    ],
)
def test_payloads(given_: dict[str, Any], load: bytes) -> None:
    [packet] = made(protocol="udp", **given_)
    assert bytes(IP(packet)[UDP].payload) == load


def test_echo_requests_of_both_families() -> None:
    [first, second] = made(port=0, count=2, payload="x")
    assert [IP(each)[ICMP].seq for each in (first, second)] == [1, 2]
    [six] = made("fd00::9", 0, "fd00::1", source_address="fd00::7")
    assert (IPv6(six).src, IPv6(six)[ICMPv6EchoRequest].seq) == ("fd00::7", 1)


def test_sctp_begins_an_association_or_carries_data() -> None:
    [init] = made(protocol="sctp")
    assert IP(init).haslayer(SCTPChunkInit)
    [data] = made(protocol="sctp", payload="abc")
    assert IP(data)[SCTPChunkData].data.load == b"abc"


def test_a_protocol_by_its_number() -> None:
    [packet] = made(port=0, protocol="47", payload_hex="0000")
    assert (IP(packet).proto, bytes(IP(packet).payload)) == (47, b"\0\0")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ttl": 256}, "--ttl 256: a number from 0 to 255 is needed"),
    ({"ttl": -1}, "--ttl -1: a number from 0 to 255"),
    ({"dscp": 64}, "--dscp 64: a number from 0 to 63"),
    ({"count": 0}, f"--count 0: a number from 1 to {MOST}"),
    ({"count": MOST + 1}, f"--count {MOST + 1}: a number from 1 to"),
    ({"tcp_flags": "SX"}, "--tcp-flags SX: 'X' is none of F S R P A U E C"),
    ({"seq": 2**32}, "--seq 4294967296: a number from 0 to 4294967295"),
    ({"window": 65536}, "--window 65536: a number from 0 to 65535"),
    ({"source_port": 65536}, "--source-port 65536: a number from 0 to 65535"),
    ({"protocol": "gre"}, "--protocol gre: tcp, udp, sctp, icmp or a number from 0 to 255"),
    ({"protocol": "256"}, "--protocol 256: tcp, udp, sctp, icmp or a number"),
    ({"protocol": "udp", "tcp_flags": "S"}, "--tcp-flags S: only packets of tcp have it; this one has protocol 17"),
    ({"protocol": "udp", "icmp_type": 3}, "--icmp-type 3: only packets of icmp have it"),
    ({"protocol": "icmp"}, "--to 10.96.0.1:80: protocol 1 has no ports; leave the port out"),
    ({"port": 0, "protocol": "tcp"}, "--to 10.96.0.1: this protocol needs a port, as in 10.96.0.1:80"),
    ({"port": 0, "source_port": 7}, "--source-port 7: only packets of tcp, udp or sctp have it"),
    ({"port": 0, "icmp_type": 256}, "--icmp-type 256: a number from 0 to 255"),
    ({"payload": "a", "payload_hex": "00"}, "--payload, --payload-hex, --payload-size: only one of them"),
    ({"payload_hex": "0g"}, "--payload-hex 0g: pairs of hexadecimal digits are needed"),
    ({"payload_size": 65496}, f"--payload-size 65496: a number from 0 to {LARGEST_PAYLOAD}"),
    ({"payload": "a" * 70000}, f"--payload: 70000 bytes; at most {LARGEST_PAYLOAD} fit a packet"),
    ({"source_address": "10.1"}, "--source-address 10.1: an IPv4 address is needed"),
    ({"source_address": "fd00::1"}, "--source-address fd00::1: an IPv4 address is needed to reach 10.96.0.1"),
    ({"to": "fd00::1"}, "--source-address: the source has no IPv6 address of its own; give one"),
    ({"own": ""}, "--source-address: the source has no IPv4 address of its own; give one"),
    ({"to": "fd00::1", "df": True}, "--df: fd00::1 is IPv6"),
]


@pytest.mark.parametrize(("given_", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_what_cannot_be_is_refused(given_: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        made(**given_)
    assert message in str(refused.value)


small = st.none() | st.integers(-3, 70_000) | st.integers()
WORDS = ["", "tcp", "UDP", "sctp", "icmp", "41", "none", "S", "::", "1.2.3.4", "ff"]
ANY: dict[str, st.SearchStrategy[Any]] = {
    "NoneType": small,
    "str": st.sampled_from(WORDS) | st.text(max_size=8),
    "bool": st.booleans(),
    "int": st.integers(-2, 4),
}
anything = st.fixed_dictionaries(
    {}, optional={each.name: ANY[type(each.default).__name__] for each in fields_of(Fields)}
)


@given(anything, st.sampled_from(["10.0.0.1", "fd00::1", "255.255.255.255"]), st.integers(0, 65535))
def test_any_fields_make_packets_that_can_be_read_or_are_refused(given_: dict[str, Any], to: str, port: int) -> None:
    try:
        packets = made(to, port, "10.0.0.9", **given_)
    except UserError as error:
        assert str(error).startswith("--")  # noqa: PT017 - either outcome is right
        return
    assert all("[" not in summarize_packet(packet).partition(": ")[0] for packet in packets)
