"""Sends packets at a rate and finds out what becomes of each, from the hops that machines tell."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.machine import RawPacket
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.inject.fate import Fate, refused
from podwire.scripts.inject.senders import Sender
from podwire.scripts.inject.tracker import Tracker
from podwire.services.chassis.bus.base import Bus, Message

BATCH: Final = 64
MOST_UNDER_WAY: Final = 2048
"""Packets whose end is not known; no more are sent before some of them are done."""
HOPS_KEPT: Final = 1000
"""Of so many packets the hops are kept, of the others only what became of them."""
PATIENCE: Final = 4.0
"""Seconds; a neighbour that does not answer is given up after three."""
_TICK: Final = 0.02
_MOST_OF_A_BATCH: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """One packet, in the order of sending (`index` from 0), the name of its trace, and its fate."""

    index: int
    trace: str
    fate: Fate


async def inject(
    bus: Bus,
    sender: Sender,
    packets: Iterable[RawPacket],
    *,
    rate: float = 0.0,
    patience: float = PATIENCE,
    name: str = "",
) -> list[Result]:
    """Sends packets (`rate` a second, 0: as fast as their fates are known) and returns what happened to each.

    A packet of which nothing final is heard within `patience` seconds is `lost`. Traces are called `name` and a number
    ("": a random name). Raises UserError.
    """
    return await _Injection(bus, sender, rate, patience, name or secrets.token_hex(6)).run(iter(packets))


class _Injection:
    def __init__(self, bus: Bus, sender: Sender, rate: float, patience: float, name: str) -> None:
        self._bus, self._sender, self._rate, self._patience = bus, sender, rate, patience
        self._name = name
        self._tracker = Tracker()
        self._results: dict[int, Result] = {}
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._sent = 0

    async def run(self, packets: Iterator[RawPacket]) -> list[Result]:
        with self._hearing():
            await self._bus.flush()
            self._began = self._loop.time()
            await self._send_all(packets)
            while len(self._tracker):
                await asyncio.sleep(_TICK)
                self._collect()
        return [self._results[index] for index in sorted(self._results)]

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        subscription = self._bus.subscribe(subjects.telemetry_kind("hop"), self._hear)
        try:
            yield
        finally:
            subscription.close()

    def _hear(self, message: Message) -> None:
        try:
            hops: list[Hop] = codec.decode_union(list[Hop], message.payload)
        except codec.ForeignMessage:
            return
        now = self._loop.time()
        for hop in hops:
            self._tracker.hear(hop, now)

    async def _send_all(self, packets: Iterator[RawPacket]) -> None:
        while True:
            size = await self._room()
            batch = list(islice(packets, size))
            if not batch:
                return
            for part in _parts(batch):
                await self._send(part)

    async def _room(self) -> int:
        """How many packets may go now; waits until it is at least one."""
        while True:
            self._collect()
            room = min(BATCH, MOST_UNDER_WAY - len(self._tracker), self._due())
            if room > 0:
                return room
            await asyncio.sleep(_TICK if len(self._tracker) >= MOST_UNDER_WAY else self._until_due())

    def _due(self) -> int:
        if not self._rate:
            return BATCH
        return int((self._loop.time() - self._began) * self._rate) + 1 - self._sent

    def _until_due(self) -> float:
        return max(self._began + self._sent / self._rate - self._loop.time(), 0.001) if self._rate else _TICK

    async def _send(self, batch: list[RawPacket]) -> None:
        first, now = self._sent, self._loop.time()
        named = [replace_trace(packet, self._trace(first + at)) for at, packet in enumerate(batch)]
        for at, packet in enumerate(named):
            self._tracker.watch(packet.trace, first + at, now, self._patience)
        self._sent += len(named)
        for at, error in enumerate(await self._sender.send(named)):
            if error:
                self._tracker.forget(named[at].trace)
                self._keep(first + at, refused(error, named[at]))

    def _trace(self, index: int) -> str:
        return f"{self._name}.{index}"

    def _collect(self) -> None:
        for index, found in self._tracker.done(self._loop.time()):
            self._keep(index, found)

    def _keep(self, index: int, found: Fate) -> None:
        kept = found if index < HOPS_KEPT else replace(found, hops=())
        self._results[index] = Result(index, self._trace(index), kept)


def replace_trace(packet: RawPacket, trace: str) -> RawPacket:
    """The packet, to be traced under a name."""
    return msgspec.structs.replace(packet, trace=trace)


def _parts(batch: list[RawPacket]) -> Iterator[list[RawPacket]]:
    """Batches of less than a message's size."""
    part: list[RawPacket] = []
    size = 0
    for packet in batch:
        if part and size + len(packet.data) > _MOST_OF_A_BATCH:
            yield part
            part, size = [], 0
        part.append(packet)
        size += len(packet.data)
    yield part
