"""Raw sockets as net/ipv4/raw.c has them, and the sockets that see packets pass and die: bounded, in order."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from topology import SECOND, Network

from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets import capture, drop_monitor
from podwire.services.node.kernel.sockets.drop_monitor import DropMonitor
from podwire.services.node.kernel.sockets.raw import send_raw


@pytest.fixture
def network() -> Network:
    made = Network(2)
    made[1].pod("web", 2)
    made[2].pod("api", 3)
    return made


def bytes_of(packet: IP) -> bytes:
    return bytes(packet)


def test_what_the_kernel_fills_in(network: Network) -> None:
    """raw_send_hdrinc: length and checksum always, a zero source and identification too; the rest as it stands."""
    web = network[1].kernel.namespace("web")
    seen = web.sockets.open_capture("eth0")
    octets = bytes_of(IP(src="0.0.0.0", dst="10.244.2.3", ttl=7, tos=0xB8, id=0, len=9999, chksum=1) / UDP(dport=9))
    send_raw(web, octets)
    network.run(SECOND)
    frames = [IP(each.frame[14:]) for each in iter(seen.receive, None) if each.frame[12:14] == b"\x08\x00"]
    assert (frames[0].src, frames[0].ttl, frames[0].tos, frames[0].len) == ("10.244.1.2", 7, 0xB8, len(octets))
    assert frames[0].id and frames[0].chksum == IP(bytes_of(frames[0].copy())).chksum
    again = frames[0].copy()
    del again.chksum
    assert IP(bytes_of(again)).chksum == frames[0].chksum


def test_a_spoofed_source_is_sent(network: Network) -> None:
    web, api = network[1].kernel.namespace("web"), network[2].kernel.namespace("api")
    seen = api.sockets.open_capture("eth0")
    send_raw(web, bytes_of(IP(src="10.244.1.77", dst="10.244.2.3") / ICMP()))
    network.run(SECOND)
    assert any(IP(each.frame[14:]).src == "10.244.1.77" for each in iter(seen.receive, None) if each.frame[13] == 0)


@pytest.mark.parametrize(
    ("octets", "number"),
    [
        (b"", errno.EINVAL),
        (b"\x45" + bytes(10), errno.EINVAL),
        (b"\x4f" + bytes(30), errno.EINVAL),
        (b"\x55" + bytes(30), errno.EINVAL),
        (b"\x60" + bytes(20), errno.EINVAL),
        (b"\x60\0\0\0\0\x09" + bytes(34), errno.EINVAL),
        (bytes_of(IP(dst="10.244.2.3") / UDP() / bytes(1450)), errno.EMSGSIZE),
        (b"\x60\0\0\0\0\0\x3b\x40" + bytes(32), errno.ENETUNREACH),
    ],
)
def test_what_a_raw_socket_refuses(network: Network, octets: bytes, number: int) -> None:
    with pytest.raises(KernelError) as refused:
        send_raw(network[1].kernel.namespace("web"), octets)
    assert refused.value.errno == number


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x45\0\0\x30\0\0\0\0", b"\x46", b"\x60\0\0\0\0\x08\x00"]))
def test_any_bytes_are_sent_or_refused_and_never_more(rest: bytes, begin: bytes) -> None:
    network = Network(1)
    network[1].pod("web", 2)
    try:
        send_raw(network[1].kernel.namespace("web"), begin + rest, "t")
    except KernelError as error:
        assert error.errno in (errno.EINVAL, errno.EMSGSIZE, errno.ENETUNREACH)  # noqa: PT017 - either is right
    network.run(5 * SECOND)


def test_packets_that_die_are_seen_with_their_reason(network: Network) -> None:
    kernel = network[2].kernel
    monitor, seen = DropMonitor(kernel), kernel.namespace("api").sockets.open_capture()
    packet = bytes_of(IP(src="10.244.1.2", dst="10.244.2.3") / UDP(dport=9))
    send_raw(network[1].kernel.namespace("web"), packet, "t1")
    network.run(SECOND)
    dead = monitor.receive()
    assert dead is not None
    assert (dead.netns, dead.device, dead.reason, dead.trace) == ("api", "eth0", "NO_SOCKET", "t1")
    assert IP(dead.frame[14:])[UDP].dport == 9
    arrived = next(each for each in iter(seen.receive, None) if each.trace == "t1" and not each.is_outgoing)
    assert arrived.order < dead.order
    monitor.close()
    monitor.close()
    assert kernel.drop_monitors == []


def test_a_flood_is_counted_and_not_kept(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "QUEUE_LIMIT", 5)
    monkeypatch.setattr(drop_monitor, "QUEUE_LIMIT", 3)
    kernel = network[2].kernel
    monitor, seen = DropMonitor(kernel), kernel.namespace("api").sockets.open_capture()
    for number in range(20):
        packet = bytes_of(IP(src="10.244.1.2", dst="10.244.2.3") / UDP(sport=number, dport=9))
        send_raw(network[1].kernel.namespace("web"), packet)
    network.run(SECOND)
    assert len(list(iter(seen.receive, None))) == 5
    assert seen.by_device["eth0"] == [seen.received, seen.received - 5] and seen.received > 20
    assert len(list(iter(monitor.receive, None))) == 3 and monitor.dropped == 17


def test_large_frames_are_bounded_by_their_bytes(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "QUEUE_BYTES", 2500)
    monkeypatch.setattr(drop_monitor, "QUEUE_BYTES", 2500)
    kernel = network[2].kernel
    monitor, seen = DropMonitor(kernel), kernel.namespace("api").sockets.open_capture()
    for again in range(2):
        for number in range(9):
            packet = bytes_of(IP(src="10.244.1.2", dst="10.244.2.3") / UDP(sport=number, dport=9) / bytes(1000))
            send_raw(network[1].kernel.namespace("web"), packet)
        network.run(SECOND)
        assert sum(len(each.frame) for each in iter(seen.receive, None)) < 2500 + 1100
        assert len(list(iter(monitor.receive, None))) == 3 and monitor.dropped == 6 * (again + 1)
