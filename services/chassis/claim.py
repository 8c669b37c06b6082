"""A process takes a container and serves it: the process's side of a claim.

`wait_for_claim` returns once the machine has said Start; from then on the process serves this container until either
ends. A process that is told Gone, or hears nothing after it accepted, ends (ProcessEnd): the supervisor keeps a new
idle one waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import container as messages
from podwire.proto.messages.runtime import ContainerConfig
from podwire.services.chassis.bus.base import BusError, Message
from podwire.services.chassis.context import Context, ProcessEnd

_CALL_TIMEOUT: Final = 2.0
_RETRY: Final = 0.2
_ATTACH_EVERY: Final = 10.0


class ContainerError(OSError):
    """The machine refused a call; carries the errno's name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Withdrawn(ProcessEnd):
    """What was accepted was never started."""


Address = tuple[str, int]


class UdpSocket:
    """A UDP socket in the container's network namespace."""

    def __init__(self, container: "Container", number: int) -> None:
        self._container, self.number = container, number

    def send(self, data: bytes, to: Address) -> None:
        """Sends one datagram; it is lost where the real one would be."""
        self._container.post(messages.SendDatagram(socket=self.number, address=to[0], port=to[1], data=data))


class Connection:
    """A TCP connection in the container's network namespace; `original_destination` is where the peer meant to go."""

    def __init__(
        self, container: "Container", number: int, peer: Address, original_destination: Address = ("", 0)
    ) -> None:
        self.peer = peer
        self.original_destination = original_destination
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader = asyncio.StreamReader()
        self._container, self.number = container, number
        self._sent = 0
        self._received = 0

    async def send(self, data: bytes) -> None:
        """Returns when the machine has taken the bytes. Raises ContainerError when the connection is gone."""
        if data:
            await self._container.call(messages.Send(socket=self.number, offset=self._sent, data=data))
            self._sent += len(data)

    async def finish(self) -> None:
        """Closes our side of the stream."""
        await self._container.call(messages.Send(socket=self.number, offset=self._sent, data=b""))

    def close(self) -> None:
        """Closes the socket."""
        self._container.drop(self.number)

    def take(self, received: messages.Received) -> None:
        """Bytes from the peer; a gap (the bus was away) ends the connection."""
        if received.offset != self._received:
            self.lost("bytes were lost on the way")
        elif received.data:
            self._received += len(received.data)
            self.reader.feed_data(received.data)
        else:
            self.reader.feed_eof()

    def established(self) -> None:
        """The handshake is done."""
        if not self.connected.done():
            self.connected.set_result(None)

    def lost(self, error: str, name: str = "ECONNRESET") -> None:
        """The connection is gone, or never came to be."""
        if not self.connected.done():
            self.connected.set_exception(ContainerError(name, error))
            return
        if self.reader.exception() is None:
            self.reader.set_exception(ConnectionResetError(error))


class Container:
    """The container that this process serves."""

    def __init__(self, context: Context, offer: messages.Offer) -> None:
        self.context, self.offer = context, offer
        self.started: asyncio.Future[messages.Start] = asyncio.get_running_loop().create_future()
        self.stopping = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._calls = subjects.container_calls(offer.image, offer.node, offer.container)
        self._datagrams: dict[int, Callable[[bytes, Address], None]] = {}
        self._listeners: dict[int, Callable[[Connection], None]] = {}
        self._connections: dict[int, Connection] = {}
        self._next_connection = 0
        self._next_call = 0
        context.bus.subscribe(subjects.container_signals(offer.image, offer.node, offer.container), self._on_signal)
        context.bus.subscribe(subjects.booted(offer.node), self._on_boot)
        context.bus.on_connection(self._on_connection)

    @property
    def start(self) -> messages.Start:
        """What the machine said at the start."""
        return self.started.result()

    @property
    def config(self) -> ContainerConfig:
        """Arguments, environment, mounts."""
        return self.start.config

    # -- what the process asks of its machine

    async def call(self, request: messages.Request) -> messages.Reply:
        """One call. While the bus or the machine is away it waits, as a system call of a machine that stands still
        does. Raises ContainerError, ProcessEnd."""
        self._next_call += 1
        encoded = self._encoded(request, self._next_call)
        while True:
            try:
                answer = await self.context.bus.request(self._calls, encoded, _CALL_TIMEOUT)
            except BusError:
                if self.ended.done():
                    raise ProcessEnd(self.ended.result()) from None
                await asyncio.sleep(_RETRY)
                continue
            return self._read(answer)

    def _encoded(self, request: messages.Request, number: int = 0) -> bytes:
        call = messages.ContainerCall(
            instance=self.context.instance, boot_id=self.offer.boot_id, request=request, number=number
        )
        return codec.encode(call)

    def _read(self, answer: bytes) -> messages.Reply:
        reply: messages.Reply = codec.decode_union(messages.Reply, answer)
        if isinstance(reply, messages.Gone):
            self._end("gone")
            raise ProcessEnd("the machine says gone")
        if isinstance(reply, messages.Refused):
            raise ContainerError(reply.errno, reply.message)
        return reply

    def post(self, request: messages.Request) -> None:
        """A call whose answer does not matter."""
        self.context.bus.publish(self._calls, self._encoded(request))

    async def read_file(self, path: str) -> bytes | None:
        """A file as the container sees it."""
        reply = await self.call(messages.ReadFile(path=path))
        return reply.data if isinstance(reply, messages.FileContent) and reply.found else None

    async def write_file(self, path: str, data: bytes) -> None:
        """Writes a file; below a hostPath mount it is the machine's."""
        await self.call(messages.WriteFile(path=path, data=data))

    def log(self, *lines: str, stream: str = "stderr") -> None:
        """Output of the container, as `kubectl logs` shows it."""
        self.post(messages.Log(stream=stream, lines=list(lines)))

    async def bind_udp(self, port: int, handler: Callable[[bytes, Address], None]) -> UdpSocket:
        """A UDP socket. Raises ContainerError (EADDRINUSE, …)."""
        number = await self._open(messages.BindUdp(port=port))
        self._datagrams[number] = handler
        return UdpSocket(self, number)

    async def listen_tcp(self, port: int, handler: Callable[[Connection], None], *, transparent: bool = False) -> int:
        """A listening socket, with IP_TRANSPARENT for what TPROXY diverts; its number is for `stop_listening`.

        Raises ContainerError (EADDRINUSE, …).
        """
        number = await self._open(messages.ListenTcp(port=port, transparent=transparent))
        self._listeners[number] = handler
        return number

    def stop_listening(self, number: int) -> None:
        """Closes a listening socket."""
        if self._listeners.pop(number, None) is not None:
            self.post(messages.CloseSocket(socket=number))

    async def connect_tcp(self, address: str, port: int) -> Connection:
        """A connection to another endpoint. Raises ContainerError (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, …)."""
        self._next_connection -= 1
        number = self._next_connection
        self._connections[number] = connection = Connection(self, number, (address, port))
        try:
            await self._open(messages.ConnectTcp(socket=number, address=address, port=port))
            await connection.connected
        except BaseException:
            connection.close()
            raise
        return connection

    async def _open(self, request: messages.BindUdp | messages.ListenTcp | messages.ConnectTcp) -> int:
        reply = await self.call(request)
        if not isinstance(reply, messages.Opened):
            raise ContainerError("EPROTO", f"the machine answered {type(reply).__name__}")
        return reply.socket

    def drop(self, number: int) -> None:
        """Closes a connection's socket."""
        if self._connections.pop(number, None) is not None:
            self.post(messages.CloseSocket(socket=number))

    async def exit(self, code: int, message: str = "") -> None:
        """Ends the container and this process's work for it."""
        await self.call(messages.Exit(code=code, message=message))
        self._end(f"exited {code}")

    async def until_ended(self) -> None:
        """Returns when the container is stopped; raises ProcessEnd when the claim is over."""
        stopped = asyncio.get_running_loop().create_task(self.stopping.wait())
        stopped.add_done_callback(lambda _: self._end("stopped"))
        try:
            reason = await asyncio.shield(self.ended)
        finally:
            stopped.cancel()
        if reason != "stopped":
            raise ProcessEnd(reason)

    # -- what the machine tells

    def _on_signal(self, message: Message) -> None:
        signal = _decoded(self.context, messages.ContainerSignal, message)
        if signal is not None and signal.boot_id == self.offer.boot_id:
            self._act(signal.signal)

    def _act(self, signal: messages.Signal) -> None:
        match signal:
            case messages.Start():
                if not self.started.done():
                    self.started.set_result(signal)
            case messages.Stop():
                self.stopping.set()
            case messages.WhoServes():
                self.context.tasks.start(self._attach(), name="attach")
            case messages.Datagram(socket=number, data=data):
                if (handler := self._datagrams.get(number)) is not None:
                    handler(data, (signal.address, signal.port))
            case messages.Accepted(listener=listener, socket=number):
                meant = (signal.original_address, signal.original_port)
                self._accept(listener, Connection(self, number, (signal.address, signal.port), meant))
            case messages.Connected(socket=number):
                if (connection := self._connections.get(number)) is not None:
                    connection.established()
            case messages.Received(socket=number):
                if (connection := self._connections.get(number)) is not None:
                    connection.take(signal)
            case messages.Reset(socket=number):
                if (connection := self._connections.pop(number, None)) is not None:
                    connection.lost(signal.error, signal.errno)

    def _accept(self, listener: int, connection: Connection) -> None:
        handler = self._listeners.get(listener)
        if handler is None:
            self.post(messages.CloseSocket(socket=connection.number))
            return
        connection.established()
        self._connections[connection.number] = connection
        handler(connection)

    def _on_connection(self, connected: bool) -> None:
        if connected and self.started.done() and not self.ended.done():
            self.context.tasks.start(self._attach(), name="attach")

    def _on_boot(self, message: Message) -> None:
        booted = _decoded(self.context, messages.Booted, message)
        if booted is not None and booted.boot_id != self.offer.boot_id:
            self._end("the machine has booted since")

    async def keep_attached(self) -> None:
        """Asks now and then whether the claim still holds: what the machine said of its boot may have been lost."""
        while not self.ended.done():
            await asyncio.sleep(_ATTACH_EVERY)
            try:
                answer = await self.context.bus.request(self._calls, self._encoded(messages.Attach()), _CALL_TIMEOUT)
            except BusError:
                continue
            self._read(answer)

    async def _attach(self) -> None:
        try:
            await self.call(messages.Attach())
        except ContainerError as error:
            self._end(str(error))

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


def _decoded[T](context: Context, kind: type[T], message: Message) -> T | None:
    """What a subject carries; None for anything else, which is dropped and counted."""
    try:
        return codec.decode(kind, message.payload)
    except codec.ForeignMessage as error:
        context.foreign.drop(context.log, message.subject, str(error))
        return None


async def wait_for_claim(context: Context, image: str, node: str) -> Container:
    """The container that this process takes: for `node` alone, or for any node. Raises ProcessEnd."""
    taken: asyncio.Future[Container] = asyncio.get_running_loop().create_future()

    def on_offer(message: Message) -> None:
        offer = _decoded(context, messages.Offer, message)
        if offer is None or taken.done() or offer.image != image:
            return
        taken.set_result(Container(context, offer))
        claim = messages.Claim(container=offer.container, instance=context.instance, connection=context.bus.name)
        context.bus.publish(message.reply, codec.encode(claim))

    offers = context.bus.subscribe(subjects.container_offer(image, node), on_offer, queue="idle")
    container = await taken
    offers.close()
    try:
        await asyncio.wait_for(asyncio.shield(container.started), messages.START_WITHIN)
    except TimeoutError:
        raise Withdrawn("the offer was withdrawn") from None
    context.placement.node = container.offer.node
    context.on_claim()
    context.tasks.start(container.keep_attached(), name="keep attached")
    context.log.info("claimed", container=container.offer.container, pod=container.offer.pod)
    return container


async def mirror(
    context: Context, image: str, node: str, serve: Callable[[Container], Awaitable[None]] | None = None
) -> None:
    """For processes that work without a claim and are shown as mirror pods: takes the container that stands for this
    process, has `serve` use its sockets, and ends the process when the container is stopped."""
    while True:
        try:
            container = await wait_for_claim(context, image, node)
        except Withdrawn:
            continue
        if serve is not None:
            await serve(container)
        await container.until_ended()
        await container.exit(0)
        raise ProcessEnd("the mirror pod's container was stopped")
