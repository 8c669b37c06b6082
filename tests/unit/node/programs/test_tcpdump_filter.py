"""Filters, against the real tcpdump on generated frames where it is installed, and by their own refusals."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from podwire.services.node.programs.tcpdump.filter import FilterError, compile_filter

LINK = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
A, B = "10.244.1.5", "10.244.2.3"
FRAMES = [
    bytes(frame)
    for frame in (
        LINK / ARP(op=1, psrc=A, pdst=B),
        LINK / IP(src=A, dst=B) / TCP(sport=4000, dport=80, flags="S"),
        LINK / IP(src=B, dst=A) / TCP(sport=80, dport=4000, flags="SA"),
        LINK / IP(src=A, dst=B) / TCP(sport=4000, dport=80, flags="PA") / Raw(b"GET / HTTP/1.1\r\n\r\n"),
        LINK / IP(src=A, dst=B, options=[b"\x94\x04\x00\x00"]) / TCP(sport=4000, dport=443, flags="FA"),
        LINK / IP(src=A, dst="10.96.0.10") / UDP(sport=5353, dport=53) / DNS(qd=DNSQR(qname="a.b")),
        LINK / IP(src=A, dst=B, ttl=3) / ICMP(type=8),
        LINK / IP(src=B, dst=A) / ICMP(type=3, code=3) / IP(src=A, dst=B) / UDP(dport=53),
        LINK / IP(src=A, dst=B, flags="MF") / UDP(sport=53, dport=9, len=3000) / Raw(b"y" * 24),
        LINK / IP(src=A, dst=B, frag=4, proto=17) / Raw(b"\0\x35" * 12),
        LINK / IP(src=A, dst="239.1.2.3", proto=132) / Raw(b"\x00\x50\x00\x51" + b"z" * 20),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=4000, dport=80, flags="S"),
        LINK / IPv6(src="fd00::1", dst="ff02::1") / UDP(sport=53, dport=5353) / Raw(b"abc"),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest(),
        Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:09", type=0x88CC) / Raw(b"lldp"),
        LINK / IP(src="1.2.3.4", dst="255.255.255.255") / UDP(sport=68, dport=67),
    )
]
EXPRESSIONS = [
    "", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "not ip", "! tcp and ip", "host 10.244.1.5",
    "src host 10.244.1.5", "dst 10.244.2.3", "src or dst host 10.244.2.3", "src and dst net 10.244.0.0/16",
    "net 10.244.1.0/24", "net 10.244", "host 10.244.1", "net 10.244.0.0 mask 255.255.0.0", "net fd00::/64",
    "host fd00::2", "ip host 10.244.1.5", "arp host 10.244.1.5", "ip6 host fd00::1", "port 80", "tcp port 80",
    "udp port 53", "src port 53", "dst port 53", "port http", "port 53 or 80", "port (53 or 80)",
    "portrange 50-90", "tcp portrange 80-443", "tcp dst port 80 and src 10.244.1.5", "tcp or udp port 53",
    "tcp and port 80 or udp", "udp or tcp and port 80", "(udp or icmp) and host 10.244.1.5",
    "host 10.244.1.5 and not (port 80 or port 443)", "host 10.244.1.5 or 1.2.3.4", "less 60", "greater 60",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0", "tcp[tcpflags] == tcp-syn", "tcp[13] & 2 != 0 and tcp[13] & 16 == 0",
    "icmp[icmptype] == icmp-echo", "icmp[0] = 3", "icmp6[0] == 128", "ip[8] < 5", "ip[0] & 0xf != 5", "ip[2:2] > 60",
    "ether[0] & 1 != 0", "ip[6:2] & 0x1fff != 0", "len > 60", "tcp[0:2] = 4000", "tcp[2:2] - 400 = 43 + 0",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "udp[4:2] > 20", "ether host 02:00:00:00:00:01",
    "ether src 02:00:00:00:00:09", "ether dst ff:ff:ff:ff:ff:ff", "ether proto 0x88cc", "ether proto \\ip",
    "ip proto 6", "ip proto \\tcp", "ip6 proto 17", "proto 17", "broadcast", "multicast", "ether multicast",
    "ip multicast", "ip6 multicast",
]  # fmt: skip


def pcap(path: Path) -> Path:
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for second, frame in enumerate(FRAMES):
        octets += struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame
    path.write_bytes(octets)
    return path


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_same_frames_fit_as_in_tcpdump(expression: str, tmp_path: Path) -> None:
    command = ["tcpdump", "-n", "-tt", "-q", "-r", str(pcap(tmp_path / "frames.pcap")), expression]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    theirs = [int(line.partition(".")[0]) for line in done.stdout.splitlines() if line[:1].isdigit()]
    fits = compile_filter(expression)
    assert [number for number, frame in enumerate(FRAMES) if fits(frame)] == theirs


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("vlan 5", "vlan: not built"),
        ("gateway 10.0.0.1", "gateway: not built"),
        ("host foo", "unknown host 'foo'"),
        ("tcp port", "syntax error"),
        ("port 80x", "unknown port '80x'"),
        ("port 70000", "illegal port number 70000 > 65535"),
        ("(tcp", "syntax error"),
        ("tcp)", "syntax error"),
        ("net 10.244.1.1/24", 'non-network bits set in "10.244.1.1/24"'),
        ("net 10.0.0.0/33", "mask length must be <= 32"),
        ("tcp host 10.0.0.1", "'tcp' modifier applied to host"),
        ("tcp[0:3] = 1", "data size must be 1, 2, or 4"),
        ("and", "syntax error"),
        ("tcp[", "syntax error"),
        ("ip broadcast", "ip broadcast: not built"),
        ("(" * 100 + "tcp" + ")" * 100, "nested deeper"),
        ("not " * 100 + "tcp", "nested deeper"),
        ("tcp or " * 3000 + "tcp", "longer than"),
        ("port 80 ?", "illegal character"),
    ],
)
def test_what_cannot_be_understood_is_said(expression: str, says: str) -> None:
    with pytest.raises(FilterError) as refusal:
        compile_filter(expression)
    assert says in str(refusal.value)


SIGNS = ("(", ")", "[", "]", "&", "!=", ":", "/", "-")
NAMES = (
    "tcp",
    "udp",
    "ip",
    "ip6",
    "port",
    "host",
    "net",
    "80",
    "10.0.0.1",
    "not",
    "and",
    "or",
    "13",
    "src",
    "dst",
    "less",
)
WORDS = st.sampled_from((*NAMES, *SIGNS))


@given(words=st.lists(WORDS, max_size=12), frame=st.binary(max_size=80))
def test_any_words_give_a_predicate_or_a_refusal_and_any_bytes_an_answer(words: list[str], frame: bytes) -> None:
    try:
        fits = compile_filter(" ".join(words))
    except FilterError:
        return
    assert fits(frame) in (True, False)
    assert all(fits(whole) in (True, False) for whole in FRAMES)
