"""DNS on the pod's UDP and TCP sockets."""

import asyncio
import struct
from collections.abc import Generator, Mapping
from typing import Final

from podwire.proto.kube.chaos import DnsChaos
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis import dns_wire as wire
from podwire.services.chassis.claim import Address, Connection, Container, UdpSocket
from podwire.services.chassis.clock import SECOND
from podwire.services.coredns.core import servers as core
from podwire.services.coredns.core.measures import Measures
from podwire.services.coredns.core.plugins.logging import buffer_size
from podwire.services.coredns.core.query import Ask, Message, UpstreamFailure
from podwire.services.coredns.upstreams import Upstreams

_IDLE: Final = 8.0

AnswerSteps = Generator[Ask, Message, bytes | None]


class Serving:
    """Answers by `servers`, which may be exchanged for others at any time."""

    def __init__(
        self,
        container: Container,
        upstreams: Upstreams,
        measures: Measures,
        experiments: Mapping[ObjectKey, DnsChaos],
    ) -> None:
        self._experiments = experiments
        self.servers: list[core.Server] = []
        self.answered = 0
        self._container, self._upstreams, self._measures = container, upstreams, measures
        self._ports: dict[int, None] = {}

    async def listen(self, port: int) -> None:
        """Takes queries on a port. Raises ContainerError."""
        if port in self._ports:
            return
        sockets: list[UdpSocket] = []

        def on_datagram(data: bytes, peer: Address) -> None:
            self._on_datagram(port, data, peer, sockets[0])

        sockets.append(await self._container.bind_udp(port, on_datagram))
        await self._container.listen_tcp(port, lambda connection: self._on_connection(port, connection))
        self._ports[port] = None

    def _on_datagram(self, port: int, data: bytes, peer: Address, socket: UdpSocket) -> None:
        """Answers at once if no other server need be asked."""
        steps = self._steps(port, data, peer, over_udp=True)
        try:
            ask = next(steps)
        except StopIteration as stopped:
            _send(stopped.value, peer, socket)
        else:
            self._container.context.tasks.start(self._answer_later(steps, ask, peer, socket), name="dns")

    async def _answer_later(self, steps: AnswerSteps, ask: Ask, peer: Address, socket: UdpSocket) -> None:
        _send(await self._finish(steps, ask), peer, socket)

    def _steps(self, port: int, data: bytes, peer: Address, *, over_udp: bool) -> AnswerSteps:
        context = self._container.context
        begun = context.clock.monotonic_ns()
        try:
            query, response, server = yield from core.serve(
                self.servers, port, data, peer, over_udp, begun, context.random, self._experiments
            )
        except wire.Refusal as refusal:
            self._measures.malformed.add()
            return refusal.answer
        self.answered += 1
        answer = wire.write(response, buffer_size(query) if over_udp else wire.LONGEST)
        seconds = (context.clock.monotonic_ns() - begun) / SECOND
        self._measures.note(query, response, server, seconds, len(answer))
        return answer

    async def _finish(self, steps: AnswerSteps, ask: Ask) -> bytes | None:
        while True:
            try:
                try:
                    answer = await self._upstreams.exchange(ask)
                except UpstreamFailure as failure:
                    ask = steps.throw(failure)
                else:
                    ask = steps.send(answer)
            except StopIteration as stopped:
                value: bytes | None = stopped.value
                return value

    # -- streams

    def _on_connection(self, port: int, connection: Connection) -> None:
        self._container.context.tasks.start(self._serve_connection(port, connection), name="dns over tcp")

    async def _serve_connection(self, port: int, connection: Connection) -> None:
        """Length-prefixed messages until the peer is done (RFC 7766)."""
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    (length,) = struct.unpack("!H", await connection.reader.readexactly(2))
                    data = await connection.reader.readexactly(length)
                answer = await self._answer(port, data, connection.peer)
                if answer is not None:
                    await connection.send(struct.pack("!H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass
        finally:
            connection.close()

    async def _answer(self, port: int, data: bytes, peer: Address) -> bytes | None:
        steps = self._steps(port, data, peer, over_udp=False)
        try:
            ask = next(steps)
        except StopIteration as stopped:
            value: bytes | None = stopped.value
            return value
        return await self._finish(steps, ask)


def _send(answer: bytes | None, peer: Address, socket: UdpSocket) -> None:
    if answer is not None:
        socket.send(answer, peer)
