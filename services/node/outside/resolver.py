"""The resolver outside of the cluster, on UDP and TCP port 53 of the gateway: what CoreDNS forwards to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import dns.exception
import dns.message
import dns.rcode

from podwire.services.chassis import dns_wire
from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.network.sockets import Endpoint, Network, TcpStream
from podwire.services.node.outside.zone import Zone

PORT: Final = 53
_IDLE: Final = 8.0

AskHost = Callable[[bytes], Awaitable[bytes | None]]
"""The answer of a real resolver to a query's bytes; None if there is none."""


class Resolver:
    """Answers from a zone; what that does not know is asked of the host's resolver, if there is one."""

    def __init__(self, network: Network, tasks: OrderedTaskGroup, ask_host: AskHost | None = None) -> None:
        self.zone = Zone()
        self._network, self._tasks, self._ask_host = network, tasks, ask_host

    def start(self) -> None:
        """Listens. Raises OSError."""
        self._channel = self._network.open_udp(PORT)
        self._network.listen(PORT, self._on_connection)
        self._tasks.start(self._serve_datagrams(), name="resolver")

    async def _serve_datagrams(self) -> None:
        while True:
            try:
                datagram = await self._channel.receive()
            except OSError:  # a client that is gone
                continue
            self._tasks.start(self._answer_datagram(datagram.payload, datagram.source), name="resolve")

    async def _answer_datagram(self, payload: bytes, source: Endpoint) -> None:
        answer = await self._answer(payload, over_udp=True)
        if answer is not None:
            try:
                self._channel.send(answer, source)
            except OSError:  # no way back
                pass

    async def _answer(self, payload: bytes, *, over_udp: bool) -> bytes | None:
        try:
            query = dns_wire.read(payload)
        except dns_wire.Refusal as refusal:
            return refusal.answer
        if self._ask_host is not None and not self.zone.knows(query.question[0].name.to_text().lower()):
            return await self._ask_host(payload) or _failure(query)
        room = max(512, query.payload) if query.edns >= 0 else 512
        return dns_wire.write(self.zone.answer(query), room if over_udp else dns_wire.LONGEST)

    def _on_connection(self, stream: TcpStream) -> None:
        self._tasks.start(self._serve_connection(stream), name="resolver over tcp")

    async def _serve_connection(self, stream: TcpStream) -> None:
        try:
            async with asyncio.timeout(_IDLE):
                length = int.from_bytes(await stream.read_exactly(2))
                answer = await self._answer(await stream.read_exactly(length), over_udp=False)
                if answer is not None:
                    await stream.write(len(answer).to_bytes(2) + answer)
        except (OSError, TimeoutError):
            pass
        finally:
            stream.close()


def _failure(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response.to_wire()
