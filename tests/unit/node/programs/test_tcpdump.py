"""tcpdump between two pods in virtual time, its texts beside the real one's where that is installed, its files."""

import asyncio
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from surroundings import SERVER, Machine, Result, run_on_machine

from podwire.services.node.processes import INTERRUPT
from podwire.services.node.programs.tcpdump import files
from podwire.services.node.programs.tcpdump.text import Printer, hexadecimal
from podwire.services.node.programs.toolboxes import HOST
from podwire.services.node.runtime import programs

LINK = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
A, B = "10.244.1.5", "10.244.2.3"


def tcp(from_a: bool, payload: bytes = b"", **fields: object) -> Ether:
    ends = (A, B, 4000, 80) if from_a else (B, A, 80, 4000)
    segment = TCP(sport=ends[2], dport=ends[3], **fields)
    return (
        LINK / IP(src=ends[0], dst=ends[1]) / segment / Raw(payload)
        if payload
        else LINK / IP(src=ends[0], dst=ends[1]) / segment
    )


OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
FRAMES = [
    bytes(frame)
    for frame in (
        LINK / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc=A, pdst=B),
        LINK / ARP(op=2, hwsrc="02:00:00:00:00:01", psrc=A, pdst=B),
        tcp(True, flags="S", seq=1000, window=64240, options=OPTIONS),
        tcp(False, flags="SA", seq=5000, ack=1001, window=65160, options=[("MSS", 1410), ("NOP", None), ("WScale", 7)]),
        tcp(True, flags="A", seq=1001, ack=5001, window=502),
        tcp(True, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", flags="PA", seq=1001, ack=5001, window=502),
        tcp(False, b"HTTP/1.1 200 OK\r\n\r\n", flags="PA", seq=5001, ack=1028, window=509),
        tcp(True, flags="A", seq=1028, ack=5001, options=[("NOP", None), ("NOP", None), ("SAck", (5101, 5201))]),
        tcp(True, flags="FA", seq=1028, ack=5020, window=502),
        LINK / IP(src=A, dst=B) / TCP(sport=4000, dport=81, flags="R", seq=1, window=0),
        LINK / IP(src=A, dst="10.96.0.10") / UDP(sport=5353, dport=53) / DNS(id=7, rd=1, qd=DNSQR(qname="a.svc")),
        LINK
        / IP(src="10.96.0.10", dst=A)
        / UDP(sport=53, dport=5353)
        / DNS(id=7, qr=1, aa=1, ra=1, qd=DNSQR(qname="a.svc"), an=DNSRR(rrname="a.svc", rdata="10.96.1.2", ttl=5)),
        LINK / IP(src="10.96.0.10", dst=A) / UDP(sport=53, dport=5353) / DNS(id=8, qr=1, rcode=3, qd=DNSQR(qname="n")),
        LINK / IP(src=A, dst=B) / UDP(sport=1, dport=2) / Raw(b"hello"),
        LINK / IP(src=A, dst=B, id=77, flags="DF", ttl=3) / ICMP(type=8, id=5, seq=1) / Raw(b"x" * 20),
        LINK / IP(src=A, dst=B, flags="MF", id=9) / UDP(sport=1, dport=2, len=3000) / Raw(b"y" * 24),
        LINK / IP(src=A, dst=B, frag=4, id=9, proto=17) / Raw(b"y" * 24),
        LINK / IP(src=B, dst=A) / ICMP(type=11, code=0) / IP(src=A, dst=B, ttl=1) / UDP(sport=1, dport=33434),
        LINK / IP(src="172.18.0.3", dst="172.18.0.4") / UDP(sport=40000, dport=8472) / VXLAN(vni=1) / tcp(True, seq=9),
        LINK / IP(src=A, dst=B) / IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=8, id=5, seq=1),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=4000, dport=80, flags="S", seq=1000),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest(id=3, seq=4),
        LINK / IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd00::2"),
        LINK
        / IP(src=A, dst=B)
        / UDP(sport=40000, dport=6081)
        / Raw(bytes.fromhex("0000655800000700") + bytes(LINK / IP(src=A, dst=B) / ICMP(type=8, id=5, seq=1))),
    )
]
IPV4_FRAMES = [frame for frame in FRAMES if frame[12:14] == b"\x08\x00" and frame[23] == 6 and b"HTTP" not in frame]


def theirs(path: Path, frames: list[bytes], *options: str) -> list[str]:
    octets = files.header() + b"".join(files.record(0, frame) for frame in frames)
    path.write_bytes(octets)
    command = ["tcpdump", "-n", "-t", *options, "-r", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
@pytest.mark.parametrize(
    ("option", "printer", "frames"),
    [
        ("-n", Printer(), FRAMES),
        ("-e", Printer(link=True), FRAMES),
        ("-q", Printer(quiet=True), FRAMES),
        ("-S", Printer(absolute=True), FRAMES),
        ("-v", Printer(verbose=True), IPV4_FRAMES),
    ],
)
def test_lines_are_the_real_ones(option: str, printer: Printer, frames: list[bytes], tmp_path: Path) -> None:
    ours = [line for frame in frames for line in printer.frame(frame).split("\n")]
    assert ours == theirs(tmp_path / "f.pcap", frames, option)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
def test_hexadecimal_is_the_real_one(tmp_path: Path) -> None:
    wanted = theirs(tmp_path / "f.pcap", FRAMES[:1], "-X")[1:]
    assert hexadecimal(FRAMES[0][14:], with_text=True).splitlines() == wanted


def capture(script: str, seconds: float = 10, interrupt_at: float = 0) -> Result:
    """A capture in the client's pod while a script runs there; ^C at a time."""

    async def scene(machine: Machine) -> Result:
        out, err = bytearray(), bytearray()
        process = machine.process(script.split(), machine.nobody, out, err)
        running = programs.begin(process, HOST["tcpdump"])
        loop = asyncio.get_running_loop()
        if interrupt_at:
            loop.call_later(interrupt_at, lambda: running.send(INTERRUPT, running.namespace))
        pinging = loop.create_task(machine.run(["ping", "-c", "2", SERVER]))
        process.running = running
        async with asyncio.timeout(seconds):
            code = await running.run(lambda: programs.run_in_place(process, HOST["tcpdump"]))
        await pinging
        return Result(code, out.decode(), err.decode())

    result: Result = Machine().play(scene)
    return result


def test_a_capture_ends_after_its_count() -> None:
    result = capture("tcpdump -n -t -i eth0 -c 2 icmp")
    lines = result.out.splitlines()
    assert [line.partition(", id")[0] for line in lines] == [
        f"IP 10.244.1.2 > {SERVER}: ICMP echo request",
        f"IP {SERVER} > 10.244.1.2: ICMP echo reply",
    ]
    assert result.err.startswith(
        "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n"
        "listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n2 packets captured\n"
    )
    assert result.err.endswith(" packets received by filter\n0 packets dropped by kernel\n")


def test_control_c_ends_it_with_its_report() -> None:
    result = capture("tcpdump -nti any icmp[icmptype]==icmp-echo", interrupt_at=5)
    assert result.code == 0
    assert [line[:10] for line in result.out.splitlines()] == ["eth0 Out I"] * 2
    assert "\n2 packets captured\n" in result.err


def test_a_file_is_written_and_read_again(tmp_path: Path) -> None:
    script = "tcpdump -i cni0 -c 1 -w /tmp/f.pcap arp & sleep 1; ping -c 1 10.244.1.3 >/dev/null; wait; "
    result = run_on_machine(script + "tcpdump -t -n -r /tmp/f.pcap")
    assert "ARP, Request who-has 10.244.1.3 tell 10.244.1.1, length 28\n" in result.out
    assert "tcpdump: listening on cni0, link-type EN10MB (Ethernet), snapshot length 262144 bytes" in result.err
    assert "reading from file /tmp/f.pcap, link-type EN10MB (Ethernet), snapshot length 262144\n" in result.err


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("tcpdump -i nosuch", "tcpdump: nosuch: No such device exists\n(No such device exists)\n"),
        ("tcpdump host foo", "tcpdump: unknown host 'foo'\n"),
        ("tcpdump tcp port", "tcpdump: can't parse filter expression: syntax error\n"),
        ("tcpdump -r /nope", "tcpdump: /nope: No such file or directory\n"),
        ("tcpdump -c x", "tcpdump: invalid packet count x\n"),
        ("echo hello > /tmp/x; tcpdump -r /tmp/x", "tcpdump: unknown file format\n"),
    ],
)
def test_refusals(script: str, complaint: str) -> None:
    result = run_on_machine(script)
    assert result.code == 1
    assert complaint in result.err


def test_a_file_of_another_byte_order_and_of_nanoseconds_is_read() -> None:
    octets = struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1) + struct.pack(">IIII", 7, 9, 3, 3) + b"abc"
    assert list(files.read(octets)) == [(7_000_000_009, b"abc")]


@pytest.mark.parametrize("cut", range(14, 80, 7))
def test_cut_frames_are_printed_somehow(cut: int) -> None:
    for printer in (Printer(), Printer(verbose=True, link=True), Printer(quiet=True)):
        assert all(printer.frame(frame[:cut]) for frame in FRAMES)


@given(octets=st.binary(max_size=120), ports=st.sampled_from([(53, 9), (9, 8472), (9, 6081), (80, 9)]))
def test_any_bytes_are_printed_somehow(octets: bytes, ports: tuple[int, int]) -> None:
    inside = LINK / IP(src=A, dst=B) / UDP(sport=ports[0], dport=ports[1]) / Raw(octets or b"x")
    segment = LINK / IP(src=A, dst=B, proto=6) / Raw(octets)
    for printer in (Printer(), Printer(verbose=True, link=True)):
        assert all(printer.frame(each) for each in (octets, bytes(inside), bytes(segment)))
