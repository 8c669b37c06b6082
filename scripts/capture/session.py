"""One capture on one or many machines, until it has seen enough."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.capture import Blocks, Captured, Seen
from podwire.scripts.capture.in_order import InOrder
from podwire.scripts.capture.pcapng_file import PcapngFile
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.sessions import run_capture
from podwire.scripts.errors import UserError

_TICK: Final = 0.1
_END_OF_TIME: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to capture: on which machines, of one pod or everything there, and how much (0: without an end)."""

    nodes: tuple[str, ...]
    namespace: str = ""
    pod: str = ""
    devices: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    drops: bool = True
    count: int = 0
    seconds: float = 0.0

    def call(self, session: str) -> messages.Capture:
        """The request to a machine."""
        return messages.Capture(
            session=session,
            namespace=self.namespace,
            pod=self.pod,
            devices=list(self.devices),
            hosts=list(self.hosts),
            ports=list(self.ports),
            drops=self.drops,
        )


@dataclass(slots=True)
class CaptureRun:
    """Writes what machines tell through `write`; `stop` ends it."""

    client: Client
    wanted: Wanted
    write: Callable[[bytes], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every machine captures."""
    file: PcapngFile = field(default_factory=PcapngFile)
    reader_is_gone: bool = False
    now: Callable[[], int] = time.time_ns
    """The machines' wall clock."""
    _waiting: InOrder = field(default_factory=InOrder)
    _seen: list[tuple[str, Seen]] = field(default_factory=list)
    _open: int = 0
    _failure: UserError | None = None

    async def run(self) -> None:
        """Returns when enough was seen. Raises UserError; what was told before is written even so."""
        self._write(self.file.begin())
        clock = asyncio.get_running_loop().create_task(self._write_in_time())
        sessions = [self._of_machine(node) for node in self.wanted.nodes]
        results = await asyncio.gather(*sessions, return_exceptions=True)
        clock.cancel()
        self._write_due(_END_OF_TIME)
        self._write(self.file.end(self._seen))
        for result in (self._failure, *results):
            if isinstance(result, BaseException):
                raise result

    async def _of_machine(self, node: str) -> None:
        blocks = Blocks()

        def take(_: int, data: bytes) -> None:
            try:
                for record in blocks.take(data):
                    self._take(node, record)
            except codec.ForeignMessage as error:
                raise UserError(f"{node}: what it captured cannot be read: {error}") from None

        def call(session: str) -> messages.Capture:
            return self.wanted.call(session)

        try:
            await run_capture(self.client, node, call, take, self.stop, self._opened)
        except BaseException:
            self.stop.set()
            raise

    def _opened(self) -> None:
        self._open += 1
        if self._open == len(self.wanted.nodes):
            self.opened.set()
            if self.wanted.seconds:
                asyncio.get_running_loop().call_later(self.wanted.seconds, self.stop.set)

    def _take(self, node: str, record: Captured | Seen) -> None:
        if isinstance(record, Seen):
            self._seen.append((node, record))
        else:
            self._waiting.put(node, record)

    async def _write_in_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._write_due(self.now())

    def _write_due(self, now: int) -> None:
        octets = bytearray()
        for placed in self._waiting.due(now):
            if self._is_enough:
                break
            octets += self.file.add(placed)
        if octets:
            self._write(bytes(octets))

    def _write(self, octets: bytes) -> None:
        if self.reader_is_gone:
            return
        try:
            self.write(octets)
        except (BrokenPipeError, UserError) as error:
            self._failure = error if isinstance(error, UserError) else None
            self.reader_is_gone = True
            self.stop.set()

    @property
    def _is_enough(self) -> bool:
        enough = bool(self.wanted.count) and self.file.frames + self.file.drops >= self.wanted.count
        if enough:
            self.stop.set()
        return enough
