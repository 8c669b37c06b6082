"""Raw sockets: what the real kernel fills in of a header that is handed over, and what it refuses, ours does too."""

import random
import socket
import time

import pytest
from tests.oracle import router
from tests.oracle.frames import IDENTIFICATION, comparable, show
from tests.oracle.test_router import both_worlds, seeds
from tests.oracle.worlds import Arrival, LinuxWorld, PodwireWorld, why_not

from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.raw import send_raw

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]
PACKETS = 80
SOURCES = ("10.1.0.2", "10.1.0.2", "0.0.0.0", "10.9.9.9")
DESTINATIONS = ("10.2.0.2", "10.3.0.2", "10.1.0.1")
PROTOCOL = 253
"""For experiments (RFC 3692): no host answers but with an error."""


def generated(chance: random.Random) -> bytes:
    """An IPv4 packet whose lengths and checksum may be anything, as a program would hand it over."""
    options = chance.choice((b"", b"", b"\1\1\1\0"))
    size = chance.choice((0, 8, 100, 1470, 1480, 1481, 3000))
    header = bytearray(20)
    header[0] = 0x40 | (5 + len(options) // 4 if chance.random() > 0.1 else 15)
    header[1] = chance.choice((0, 0xB8))
    header[2:4] = chance.choice((0, 20, 65535)).to_bytes(2)
    header[4:6] = IDENTIFICATION.to_bytes(2)
    header[6:8] = chance.choice((0, 0x4000)).to_bytes(2)
    header[8] = chance.choice((1, 2, 64))
    header[9] = PROTOCOL
    header[10:12] = chance.getrandbits(16).to_bytes(2)
    header[12:16] = socket.inet_aton(chance.choice(SOURCES))
    header[16:20] = socket.inet_aton(chance.choice(DESTINATIONS))
    packet = bytes(header) + options + bytes(size)
    return packet if chance.random() > 0.05 else packet[: chance.randint(1, 19)]


def by_podwire(world: PodwireWorld, netns: str, packet: bytes) -> tuple[int, list[Arrival]]:
    world._drain()
    world.kernel.set_time(time.monotonic_ns())
    try:
        send_raw(world.kernel.namespace(netns), packet)
    except KernelError as error:
        return error.errno or 0, world._drain()
    return 0, world._drain()


def by_linux(world: LinuxWorld, netns: str, packet: bytes) -> tuple[int, list[Arrival]]:
    world.collect()
    to = socket.inet_ntoa(packet[16:20]) if len(packet) >= 20 else DESTINATIONS[0]
    with world.inside(netns), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        try:
            sender.sendto(packet, (to, 0))
        except OSError as error:
            return error.errno or 0, world.collect()
    return 0, world.collect()


@pytest.mark.parametrize("seed", seeds(500, 4, 13))
def test_generated_headers(seed: int) -> None:
    chance, arrived = random.Random(seed), 0
    with both_worlds([*router.build()]) as (ours, theirs):
        assert isinstance(ours, PodwireWorld) and isinstance(theirs, LinuxWorld)
        for number in range(PACKETS):
            packet = generated(chance)
            (refused, got), (expected, wanted) = by_podwire(ours, "client", packet), by_linux(theirs, "client", packet)
            assert refused == expected, f"packet {number}: {packet[:24].hex()}, {len(packet)} bytes"
            got, wanted = comparable(got), comparable(wanted)
            arrived += len(wanted)
            assert got == wanted, f"packet {number}: {packet[:24].hex()}\npodwire:\n{show(got)}linux:\n{show(wanted)}"
        assert arrived > PACKETS // 4
