"""Constant load on one Service, in each of the ways there are to it; every request is traced."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.clock import SECOND
from podwire.services.node.network.sockets import Network
from podwire.services.node.operator import exchange

from .stage import Stage

PATIENCE: Final = 5.0
"""Seconds after which a client gives a request up."""
WAYS: Final = ("cluster IP", "name", "node port", "load balancer")
QUICK, LONG = "/hostname", "/shell?cmd=sleep%200.4"


@dataclass(slots=True)
class Request:
    """One request: when it was sent and ended (ns since the epoch; a lookup comes before), and what came of it."""

    number: int
    way: str
    begun: int
    destination: str = ""
    """The Service's address, "" if its name was not resolved."""
    sent: int = 0
    ended: int = 0
    is_answered: bool = False
    text: str = ""
    hops: list[Hop] = field(default_factory=list)

    @property
    def trace(self) -> str:
        """The name of its trace."""
        return f"load-{self.number}"

    @property
    def lookup(self) -> float:
        """Seconds that its name took (0 if it has none)."""
        return (self.sent - self.begun) / SECOND if self.way == "name" else 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where requests of one way come from, and where they go."""

    address: str
    port: int
    node: str = ""
    pod: str = ""


class Load:
    """So many requests a second in each way, whether the ones before are over or not."""

    def __init__(
        self, stage: Stage, sources: dict[str, Source], outside: Network, look_up: Callable[[], Awaitable[str]]
    ) -> None:
        self.requests: list[Request] = []
        self._stage, self._sources, self._outside, self._look_up = stage, sources, outside, look_up
        self._by_trace: dict[str, Request] = {}
        stage.bus.subscribe(subjects.telemetry_kind("hop"), self._hear)

    def _hear(self, message: Message) -> None:
        hops: list[Hop] = codec.decode_union(list[Hop], message.payload)
        for hop in hops:
            if (request := self._by_trace.get(hop.trace)) is not None:
                request.hops.append(hop)

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Sends until it is stopped, and returns when every request is over."""
        loop, running = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        while not stop.is_set():
            for way in self._sources:
                running.append(loop.create_task(self._send(way), name=f"request by {way}"))
                await asyncio.sleep(1 / rate / len(self._sources))
        await asyncio.gather(*running)

    async def _send(self, way: str) -> None:
        now_ns = self._stage.clock.now_ns
        request = Request(len(self.requests), way, now_ns())
        self.requests.append(request)
        self._by_trace[request.trace] = request
        request.destination = await self._look_up() if way == "name" else self._sources[way].address
        request.sent = now_ns()
        if request.destination:
            outcome = await self._exchange(request)
            request.is_answered, request.text = outcome.success, outcome.text
        request.ended = now_ns()

    async def _exchange(self, request: Request) -> messages.Outcome:
        source = self._sources[request.way]
        path = LONG if request.number % 3 == 0 else QUICK
        call = messages.Connect(
            trace=request.trace,
            namespace="default" if source.pod else "",
            pod=source.pod,
            kind="http",
            address=request.destination,
            port=source.port,
            path=path,
            timeout=PATIENCE,
        )
        if source.node:
            answer = await self._stage.ask(source.node, call)
            assert isinstance(answer, messages.Outcome), answer
            return answer
        network = Network(self._outside.shell, "", request.trace)
        return await exchange(network, call, self._stage.clock)
