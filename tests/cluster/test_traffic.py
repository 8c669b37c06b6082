"""Capturing and injecting on a whole simulated cluster; tshark is the judge of what a capture holds."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from podwire.proto.kube import resources
from podwire.proto.messages import machine as messages
from podwire.proto.messages.machine import RawPacket
from podwire.scripts.capture.session import CaptureRun, Wanted
from podwire.scripts.capture_files.reading import read_packets
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError
from podwire.scripts.inject.fate import Fate
from podwire.scripts.inject.senders import MachineSender
from podwire.scripts.inject.session import inject
from podwire.scripts.trace.resolve import Source, source

from .conftest import Booted

TSHARK = shutil.which("tshark")
NODES = ("control-plane", "node-1", "node-2")


@pytest.fixture
def client(booted: Booted) -> Client:
    return cast(Client, booted.cluster.client)


async def pods(booted: Booted) -> tuple[Source, Source, str]:
    """A pod on node-1, one on node-2, and the address of the Service of both."""
    await booted.scenario.apply_workload()
    found = sorted(
        await booted.cluster.api.list(resources.PODS, "default"), key=lambda pod: str(pod["spec"]["nodeName"])
    )
    one, other = [
        Source(pod["spec"]["nodeName"], "default", pod["metadata"]["name"], (pod["status"]["podIP"],)) for pod in found
    ]
    [service] = [
        each
        for each in await booted.cluster.api.list(resources.SERVICES, "default")
        if each["metadata"]["name"] == "my-api"
    ]
    return one, other, service["spec"]["clusterIP"]


class Captured:
    """What a capture wrote while something was done."""

    def __init__(self, booted: Booted, client: Client, wanted: Wanted) -> None:
        self.octets = bytearray()
        self.run = CaptureRun(client, wanted, self.octets.extend, now=booted.cluster.clock.now_ns)

    async def during(self, work: Coroutine[Any, Any, Any]) -> None:
        capture = asyncio.get_running_loop().create_task(self.run.run())
        await self.run.opened.wait()
        await work
        self.run.stop.set()
        await capture


async def get(client: Client, start: Source, address: str, path: str = "/") -> None:
    call = messages.Connect(
        trace="", namespace=start.namespace, pod=start.pod, kind="http", address=address, port=80, path=path
    )
    answer = await client.ask_machine(start.node, call)
    assert isinstance(answer, messages.Outcome) and answer.success, answer


def tshark(file: Path, *arguments: str) -> list[str]:
    """The lines that tshark prints of a file, with every checksum checked and VXLAN read."""
    options = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    command = [str(TSHARK), "-r", str(file), *options, "-d", "udp.port==8472,vxlan", *arguments]
    environment = {**os.environ, "HOME": str(file.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=50)
    return done.stdout.splitlines()


WRONG = (
    "_ws.malformed or _ws.expert.severity==error or ip.checksum.status==0 or tcp.checksum.status==0 or "
    "udp.checksum.status==0 or icmp.checksum.status==0 or icmpv6.checksum.status==0"
)


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_http_through_a_service_across_nodes(booted: Booted, client: Client, tmp_path: Path) -> None:
    captured = Captured(booted, client, Wanted(NODES))

    async def work() -> None:
        one, _, service = await pods(booted)
        await asyncio.sleep(2)  # every kube-proxy has written its rules
        await captured.during(asyncio.gather(*[get(client, one, service) for _ in range(8)]))  # type: ignore[arg-type]

    booted.cluster.run(work())
    file = tmp_path / "session.pcapng"
    file.write_bytes(captured.octets)
    assert tshark(file, "-Y", WRONG) == []
    frames = tshark(file, "-T", "fields", "-e", "frame.number")
    assert len(frames) == captured.run.file.frames + captured.run.file.drops > 100
    assert tshark(file, "-Y", "vxlan and http.response.code==200") != []
    interfaces = tshark(file, "-Y", "vxlan.vni==1", "-T", "fields", "-e", "frame.interface_name")
    assert sorted(dict.fromkeys(interfaces)) == ["node-1/eth0", "node-2/eth0"]
    times = [float(line) for line in tshark(file, "-T", "fields", "-e", "frame.time_epoch")]
    assert times == sorted(times)


def test_one_pod_one_port_and_a_count(booted: Booted, client: Client) -> None:
    async def work() -> tuple[Captured, Captured, str]:
        one, other, _ = await pods(booted)
        narrow = Captured(booted, client, Wanted((one.node,), one.namespace, one.pod, ("eth0",), ports=(80,)))
        few = Captured(booted, client, Wanted(NODES, hosts=(other.address,), count=5))
        await narrow.during(few.during(get(client, one, other.address)))
        return narrow, few, one.address

    narrow, few, address = booted.cluster.run(work())
    assert narrow.run.file.devices == 1
    found = [IP(packet.data[14:]) for packet in read_packets(bytes(narrow.octets))]
    assert len(found) > 8 and all(address in (packet.src, packet.dst) and packet.haslayer(TCP) for packet in found)
    assert len(list(read_packets(bytes(few.octets)))) == 5


def test_what_cannot_be_captured_is_refused(booted: Booted, client: Client) -> None:
    async def captured(wanted: Wanted) -> None:
        await Captured(booted, client, wanted).run.run()

    for wanted, message in (
        (Wanted(("node-1",), "default", "nobody"), "node-1: pod default/nobody does not run on node-1"),
        (Wanted(("node-1",), hosts=("web",)), "node-1: not an IPv4 address: 'web'"),
        (Wanted(("node-1", "node-9")), "node 'node-9': no such machine"),
    ):
        with pytest.raises(UserError, match=message):
            booted.cluster.run(captured(wanted))


def fates(booted: Booted, client: Client, start: Source, *packets: bytes, link: str = "ip") -> list[Fate]:
    """What became of packets; scapy, which looks at a clock, has made them before."""
    raw = [RawPacket(data=packet, link=cast(Any, link)) for packet in packets]
    found = booted.cluster.run(inject(client.bus, MachineSender(client, start), raw, name="t"))
    assert [result.index for result in found] == list(range(len(packets)))
    return [result.fate for result in found]


def test_what_becomes_of_packets(booted: Booted, client: Client) -> None:
    one, other, service = booted.cluster.run(pods(booted))
    booted.cluster.run(asyncio.sleep(2))
    here = {"src": one.address}
    packets = [
        IP(**here, dst=other.address) / TCP(sport=4000, dport=80, flags="S"),
        IP(**here, dst=service) / TCP(sport=4001, dport=80, flags="S"),
        IP(**here, dst=other.address) / UDP(sport=4000, dport=9),
        IP(**here, dst=other.address, ttl=1) / ICMP(),
        IP(**here, dst=other.address) / ICMP(),
        IP(**here, dst=other.address) / TCP(sport=4002, dport=80, flags="S", chksum=1),
        IP(**here, dst="10.244.2.200") / UDP(sport=1, dport=2),
        IP(**here, dst=other.address) / UDP() / bytes(2000),
    ]
    found = fates(booted, client, one, *map(bytes, packets))
    syn, through_service, closed, expired, ping, spoiled, nobody, large = found
    theirs, ours = f"{other.node} default/{other.pod}", f"{one.node} default/{one.pod}"
    assert (syn.kind, syn.place, syn.answers[0].place) == ("delivered", theirs, ours)
    assert through_service.kind == "delivered" and through_service.is_answered
    assert (closed.kind, closed.reason, closed.place) == ("dropped", "NO_SOCKET", theirs)
    assert "udp port 9 unreachable" in closed.answers[0].summary
    assert (expired.kind, expired.reason, expired.place) == ("dropped", "IP_INHDR", f"{one.node} host")
    assert (ping.kind, ping.is_answered) == ("delivered", True)
    assert (spoiled.kind, spoiled.reason) == ("dropped", "NETFILTER_DROP")  # connection tracking calls it INVALID
    assert "KUBE-FORWARD" in spoiled.advice and "ctstate INVALID" in spoiled.detail
    assert (nobody.kind, nobody.reason) == ("dropped", "NEIGH_FAILED")
    assert (large.kind, large.reason) == ("refused", "EMSGSIZE")


@pytest.mark.slow
def test_a_flood_comes_to_an_end(booted: Booted, client: Client) -> None:
    one, other, _ = booted.cluster.run(pods(booted))
    packet = bytes(IP(src=one.address, dst=other.address) / UDP(sport=1, dport=9))
    found = fates(booted, client, one, *[packet] * 3000)
    reasons = [fate.reason for fate in found]
    waiting = reasons.count("NEIGH_QUEUEFULL")  # the first ones, while a machine asks for its neighbour's MAC
    assert reasons.count("NO_SOCKET") + waiting == 3000 and waiting < 100


def test_packets_go_at_a_rate(booted: Booted, client: Client) -> None:
    one, other, _ = booted.cluster.run(pods(booted))
    packet = RawPacket(data=bytes(IP(src=one.address, dst=other.address) / ICMP()))
    began = booted.cluster.loop.now_ns
    found = booted.cluster.run(inject(client.bus, MachineSender(client, one), [packet] * 50, rate=20.0, name="t"))
    sent = [result.fate.hops[0].time for result in found]
    assert 2.4e9 < sent[-1] - sent[0] < 2.6e9 and booted.cluster.loop.now_ns - began < 4e9
    assert all(result.fate.is_answered for result in found)


def test_a_machine_that_dies_during_a_capture(booted: Booted, client: Client) -> None:
    captured = Captured(booted, client, Wanted(NODES))

    async def work() -> None:
        one, other, _ = await pods(booted)
        booted.cluster.loop.call_later(1.0, booted.cluster.kill, booted.cluster.find("node@node-2"))
        await captured.during(asyncio.gather(get(client, one, other.address), asyncio.sleep(30)))  # type: ignore[arg-type]

    with pytest.raises(UserError, match="node-2: the other side is silent"):
        booted.cluster.run(work())
    assert any(b"HTTP/1.1 200" in packet.data for packet in read_packets(bytes(captured.octets)))


def test_frames_that_are_no_frames(booted: Booted, client: Client) -> None:
    one, _, _ = booted.cluster.run(pods(booted))
    empty, short, zero, huge = fates(booted, client, one, b"", b"short", bytes(14), bytes(70000), link="ethernet")
    assert (empty.kind, empty.reason) == (short.kind, short.reason) == ("dropped", "DEV_HDR")
    assert zero.kind in ("lost", "dropped")
    assert (huge.kind, huge.reason) == ("refused", "EMSGSIZE")


def test_sources(booted: Booted, client: Client) -> None:
    async def work() -> tuple[Source, Source]:
        await booted.scenario.apply_workload()
        return await source(client, "node/node-1", "default"), await source(client, "external", "default")

    node, outside = booted.cluster.run(work())
    assert (node.address, node.pod, outside.is_external) == ("172.18.0.3", "", True)
    assert outside.address.startswith("172.18.255.")
