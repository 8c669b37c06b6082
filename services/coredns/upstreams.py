"""Exchanges with upstream servers from the container's sockets, and probes of those that did not answer."""

import asyncio
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

from podwire.services.chassis.claim import Address, Container, ContainerError, UdpSocket
from podwire.services.coredns.core.plugins.forward import Forward, Server
from podwire.services.coredns.core.query import Ask, Message, UpstreamFailure

READ_TIMEOUT: Final = 2.0
_PROBE_TIMEOUT: Final = 1.0

Waiting = tuple[Address, asyncio.Future[Message]]


class Upstreams:
    """One UDP socket for all servers; a TCP connection for each exchange over TCP."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._socket: UdpSocket | None = None
        self._waiting: dict[int, Waiting] = {}

    async def exchange(self, ask: Ask, timeout: float = READ_TIMEOUT) -> Message:
        """A server's answer, under the id of the question. Raises UpstreamFailure."""
        host = f"[{ask.server[0]}]" if ":" in ask.server[0] else ask.server[0]
        protocol = "tcp" if ask.over_tcp else "udp"
        exchange = self._over_tcp if ask.over_tcp else self._over_udp
        try:
            async with asyncio.timeout(timeout):
                return await exchange(ask)
        except TimeoutError:
            source = self._container.start.address
            raise UpstreamFailure(f"read {protocol} {source}->{host}:{ask.server[1]}: i/o timeout") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise UpstreamFailure(f"dial {protocol} {host}:{ask.server[1]}: {error}") from None

    # -- datagrams

    async def _over_udp(self, ask: Ask) -> Message:
        if self._socket is None:
            self._socket = await self._container.bind_udp(0, self._hear)
        number = self._free_number()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (ask.server, answer)
        try:
            self._socket.send(number.to_bytes(2) + ask.message.to_wire()[2:], ask.server)
            found = await answer
        finally:
            del self._waiting[number]
        found.id = ask.message.id
        return found

    def _free_number(self) -> int:
        if len(self._waiting) > 0xFFFF:
            raise OSError("too many queries wait for an upstream server")
        random = self._container.context.random
        while (number := random.getrandbits(16)) in self._waiting:
            pass
        return number

    def _hear(self, data: bytes, peer: Address) -> None:
        server, answer = self._waiting.get(int.from_bytes(data[:2]), (("", 0), None))
        if answer is None or answer.done() or peer != server:
            return
        try:
            message = dns.message.from_wire(data, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return
        if message.flags & dns.flags.QR:
            answer.set_result(message)

    # -- streams

    async def _over_tcp(self, ask: Ask) -> Message:
        connection = await self._container.connect_tcp(*ask.server)
        try:
            wire = ask.message.to_wire()
            await connection.send(len(wire).to_bytes(2) + wire)
            length = int.from_bytes(await connection.reader.readexactly(2))
            return dns.message.from_wire(await connection.reader.readexactly(length))
        except (dns.exception.DNSException, ValueError) as error:
            raise UpstreamFailure(f"dns: bad answer from {ask.server[0]}: {error}") from None
        finally:
            connection.close()

    # -- probes

    def start_probing(self, forward: Forward, server: Server) -> None:
        """Probes a server until it answers."""
        self._container.context.tasks.start(self._probe(forward, server), name=f"probe {server.address[0]}")

    async def _probe(self, forward: Forward, server: Server) -> None:
        while True:
            identity = self._container.context.random.getrandbits(16)
            message = dns.message.make_query(forward.probe_name, dns.rdatatype.NS, id=identity)
            if not forward.probe_recursion:
                message.flags &= ~dns.flags.RD
            try:
                await self.exchange(Ask(server.address, message, forward.force_tcp), _PROBE_TIMEOUT)
            except (UpstreamFailure, ContainerError):
                server.fails += 1
                await asyncio.sleep(forward.probe_every)
            else:
                server.fails, server.probed = 0, False
                return
