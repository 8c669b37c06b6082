"""SCTP through the router: the real kernel tracks, matches and translates generated packets as ours does.

What reaches a host is dropped there: a kernel without SCTP sockets would answer it with "protocol unreachable".
"""

import random

import pytest
from tests.oracle import router
from tests.oracle.frames import comparable, show
from tests.oracle.router import host_mac, router_mac
from tests.oracle.test_router import both_worlds, counters, seeds
from tests.oracle.worlds import Arrival, why_not

from podwire.proto.messages import kernel as m
from podwire.proto.packet import sctp
from podwire.proto.packet.addresses import parse_address, parse_mac
from podwire.proto.packet.ipv4 import SCTP, build_packet
from podwire.proto.packet.sctp import Chunk, Data, Init, Sack, Sctp

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]
PACKETS = 60
SILENT = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p sctp -j DROP\nCOMMIT\n"
RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -p sctp -m sctp --dport 80
-A FORWARD -p sctp -m sctp ! --sport 1024
-A FORWARD -p sctp -m multiport --dports 80,443
-A FORWARD -p sctp -m sctp --chunk-types any INIT,ABORT
-A FORWARD -p sctp -m sctp --chunk-types only DATA,SACK
-A FORWARD -p sctp -m sctp ! --chunk-types all HEARTBEAT
-A FORWARD -p sctp -m conntrack --ctstate NEW
-A FORWARD -p sctp -m conntrack --ctstate ESTABLISHED
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -p sctp -m sctp --dport 443 -j REJECT --reject-with icmp-port-unreachable
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.10/32 -p sctp -m sctp --dport 80 -j DNAT --to-destination 10.2.0.2:8080
-A POSTROUTING -o o0 -p sctp -j SNAT --to-source 10.7.7.7
COMMIT
"""
PATHS = (
    *[("client", 1, "10.1.0.2", "10.96.0.10", 1024, 80)] * 3,
    *[("server", 2, "10.2.0.2", "10.1.0.2", 8080, 1024)] * 3,
    ("client", 1, "10.1.0.2", "10.2.0.2", 1024, 443),
    ("client", 1, "10.1.0.2", "10.3.0.2", 1024, 80),
    ("other", 3, "10.3.0.2", "10.7.7.7", 80, 1024),
)
TAGS = {"client": 22, "server": 11, "other": 11}
"""What each side must say: the tag that the other chose in its INIT or INIT ACK."""


class Chunks:
    """Packets of associations: often the one that comes next, sometimes any other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._step = 0

    def frame(self) -> tuple[str, bytes]:
        """From where, and the frame; the client's INIT first, lest it need a random port beside the server's."""
        chance, setup = self._random, self._setup()
        if not self._step or (self._step < len(setup) and chance.random() < 0.8):
            host, tag, chunks = setup[self._step]
            self._step += 1
            path = next(each for each in PATHS if each[0] == host)
        else:
            path = chance.choice(PATHS)
            chunks, tag = [self._chunk(path[0]) for _ in range(chance.choice((1, 1, 1, 2)))], TAGS[path[0]]
            tag = chance.choice((tag, tag, tag, 0, 33))
        host, number, source, destination, *ports = path
        octets = bytearray(Sctp(ports[0], ports[1], tag, tuple(chunks)).build())
        if self._step > 1 and chance.random() < 0.05:
            octets[8] ^= 1
        packet = build_packet(parse_address(source), parse_address(destination), SCTP, bytes(octets))
        return host, parse_mac(router_mac(number)) + parse_mac(host_mac(number)) + b"\x08\x00" + packet

    def _setup(self) -> list[tuple[str, int, list[Chunk]]]:
        return [
            ("client", 0, [self._init(sctp.INIT, 11)]),
            ("server", 11, [self._init(sctp.INIT_ACK, 22)]),
            ("client", 22, [Chunk(sctp.COOKIE_ECHO, 0, b"cook")]),
            ("server", 11, [Chunk(sctp.COOKIE_ACK)]),
            ("client", 22, [Data(3, 1, 0, 0, 0, b"question").chunk()]),
            ("server", 11, [Sack(1, 1000).chunk(), Data(3, 1, 0, 0, 0, b"answer").chunk()]),
            ("client", 22, [Chunk(sctp.SHUTDOWN, 0, bytes(4))]),
            ("server", 11, [Chunk(sctp.SHUTDOWN_ACK)]),
            ("client", 22, [Chunk(sctp.SHUTDOWN_COMPLETE)]),
        ]

    def _init(self, kind: int, tag: int) -> Chunk:
        return Chunk(kind, 0, Init(tag, 1000, 1, 1, 1).build())

    def _chunk(self, host: str) -> Chunk:
        kind = self._random.choice((*sctp.NAMES, sctp.INIT, sctp.DATA, 63))
        if kind in (sctp.INIT, sctp.INIT_ACK):
            return self._init(kind, self._random.choice((11, 22, 44)))
        if kind == sctp.DATA:
            return Data(3, 1, 0, 0, 0, bytes(self._random.randint(1, 50))).chunk()
        return Chunk(kind, self._random.choice((0, 0, 0, 1)), bytes(self._random.choice((0, 4, 12))))


@pytest.mark.parametrize("seed", seeds(300, 4, 16))
def test_generated_associations(seed: int) -> None:
    with both_worlds([*router.build()]) as worlds:
        for world in worlds:
            for netns in router.HOSTS:
                world.do(m.IptablesRestore(netns=netns, text=SILENT))
            world.do(m.IptablesRestore(netns="router", text=RULES))
        generator = Chunks(seed)
        for number in range(PACKETS):
            netns, frame = generator.frame()
            got, wanted = (comparable(world.send(netns, "eth0", frame)) for world in worlds)
            sent = show([Arrival(f"sent from {netns}", "", frame)])
            assert got == wanted, f"packet {number}\n{sent}podwire:\n{show(got)}linux:\n{show(wanted)}"
        ours, theirs = (counters(world.rules("router", "ipv4")) for world in worlds)
        assert ours == theirs
