"""The machine's side of a claimed container: the sockets and files of a process that lives elsewhere.

A call is answered only if it names the present claimant and boot; anything else is told Gone. The claimant's death is
the end of its bus connection. After the machine's own bus was away, claimants must attach again within five seconds.
"""

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import container as messages
from podwire.services.chassis.bus.base import Message
from podwire.services.node.network.sockets import Listener, Network, TcpStream, UdpChannel
from podwire.services.node.runtime.records import ContainerRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_SOCKETS: Final = 4096


_OPENING: Final = (messages.BindUdp, messages.ListenTcp, messages.ConnectTcp)
_REMEMBERED: Final = 256


class ClaimedContainer:
    """One claim. `on_exit` is told the exit code and reason when it ends."""

    def __init__(self, machine: "Machine", record: ContainerRecord, on_exit: Callable[[int, str, str], None]) -> None:
        self.record = record
        self.connection = record.claimant
        self._machine, self._on_exit = machine, on_exit
        self._instance = record.claimant.rpartition(".")[2]
        config = record.config
        self._signals = subjects.container_signals(config.claimed, machine.name, record.id)
        owner = record.config
        self._network = Network(machine.shell, record.sandbox.namespace, user=owner.user, group=owner.group)
        self._udp: dict[int, UdpChannel] = {}
        self._listeners: dict[int, Listener] = {}
        self._streams: dict[int, TcpStream] = {}
        self._sent: dict[int, int] = {}
        self._connecting: set[int] = set()
        self._opened: dict[int, messages.Reply] = {}
        self._next_socket = 0
        self._sequence = 0
        self._attached = True
        self._open = True

    def start(self) -> None:
        """Tells the process to serve."""
        sandbox = self.record.sandbox
        self._signal(
            messages.Start(
                config=self.record.config,
                hostname=sandbox.config.hostname,
                address=sandbox.address,
                node_address=self._machine.address,
                pod=sandbox.config.name,
                namespace=sandbox.config.namespace,
            )
        )

    def stop(self) -> None:
        """SIGTERM."""
        self._signal(messages.Stop())

    def _signal(self, signal: messages.Signal) -> None:
        self._sequence += 1
        message = messages.ContainerSignal(boot_id=self._machine.boot_id, sequence=self._sequence, signal=signal)
        self._machine.bus.publish(self._signals, codec.encode(message))

    def end(self, code: int, reason: str, message: str = "") -> None:
        """The claim is over: its sockets close as a dead process's do."""
        if not self._open:
            return
        self._open = False
        for channel in self._udp.values():
            channel.close()
        for listener in self._listeners.values():
            listener.close()
        for stream in self._streams.values():
            stream.close()
        self._on_exit(code, reason, message)

    # -- losing and finding the process

    def ask_who_serves(self) -> None:
        """The machine's bus was away: the claimant has five seconds to attach."""
        self._attached = False
        self._signal(messages.WhoServes())

    def end_if_silent(self) -> None:
        """Those five seconds are over."""
        if not self._attached:
            self.end(137, "Error", "the process did not come back after the bus was away")

    # -- calls

    def answer(self, message: Message) -> None:
        """Acts on one call and answers it."""
        try:
            call = codec.decode(messages.ContainerCall, message.payload)
        except codec.ForeignMessage as error:
            return self._reply(message, messages.Refused(errno="EINVAL", message=str(error)))
        if not self._open or call.instance != self._instance or call.boot_id != self._machine.boot_id:
            return self._reply(message, messages.Gone())
        self._attached = True
        if isinstance(call.request, messages.Send):
            self._machine.tasks.start(self._send(message, call.request), name="send")
            return None
        return self._reply(message, self._act_once(call))

    def _act_once(self, call: messages.ContainerCall) -> messages.Reply:
        """What opens a socket does so once, though its answer was lost and it is asked for again."""
        if not call.number or not isinstance(call.request, _OPENING):
            return self._act(call.request)
        if call.number not in self._opened:
            self._opened[call.number] = self._act(call.request)
            if len(self._opened) > _REMEMBERED:
                del self._opened[next(iter(self._opened))]
        return self._opened[call.number]

    def _reply(self, message: Message, reply: messages.Reply) -> None:
        if message.reply:
            self._machine.bus.publish(message.reply, codec.encode(reply))

    def _act(self, request: messages.Request) -> messages.Reply:
        try:
            return self._perform(request)
        except OSError as error:
            number = error.errno or errno.EIO
            return messages.Refused(errno=errno.errorcode.get(number, "EIO"), message=error.strerror or str(error))

    def _perform(self, request: messages.Request) -> messages.Reply:
        now = self._machine.clock.now_ns()
        match request:
            case messages.BindUdp(port=port):
                return messages.Opened(socket=self._bind_udp(port))
            case messages.ListenTcp(port=port):
                return messages.Opened(socket=self._listen(port, transparent=request.transparent))
            case messages.ConnectTcp(socket=number):
                self._begin_connection(request)
                return messages.Opened(socket=number)
            case messages.SendDatagram(socket=number):
                self._channel(number).send(request.data, (request.address, request.port))
            case messages.CloseSocket(socket=number):
                self._close(number)
            case messages.ReadFile(path=path):
                data = self.record.files.read(path)
                return messages.FileContent(found=data is not None, data=data or b"")
            case messages.WriteFile(path=path, data=data):
                self.record.files.write(path, data)
            case messages.Log(stream=stream, lines=lines):
                for line in lines:
                    self.record.log.add("stdout" if stream == "stdout" else "stderr", line, now)
            case messages.Exit(code=code, message=text):
                self.end(code, "Completed" if code == 0 else "Error", text)
            case messages.Attach() | messages.Send():
                pass
        return messages.Taken()

    # -- sockets

    def _number(self) -> int:
        self._check_room()
        self._next_socket += 1
        return self._next_socket

    def _check_room(self) -> None:
        if len(self._udp) + len(self._listeners) + len(self._streams) + len(self._connecting) >= _SOCKETS:
            raise OSError(errno.EMFILE, "Too many open files")

    def _channel(self, number: int) -> UdpChannel:
        if (channel := self._udp.get(number)) is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return channel

    def _bind_udp(self, port: int) -> int:
        number = self._number()
        self._udp[number] = channel = self._network.open_udp(port)
        self._machine.tasks.start(self._pump_datagrams(number, channel), name=f"udp {port}")
        return number

    async def _pump_datagrams(self, number: int, channel: UdpChannel) -> None:
        while self._open and number in self._udp:
            try:
                datagram = await channel.receive()
            except OSError:
                if channel.socket.closed:
                    return
                continue
            address, port = datagram.source
            self._signal(messages.Datagram(socket=number, address=address, port=port, data=datagram.payload))

    def _listen(self, port: int, *, transparent: bool) -> int:
        number = self._number()

        def on_connection(stream: TcpStream) -> None:
            self._accept(number, stream)

        self._listeners[number] = self._network.listen(port, on_connection, transparent=transparent)
        return number

    def _accept(self, listener: int, stream: TcpStream) -> None:
        try:
            number = self._number()
        except OSError:
            stream.abort()
            return
        self._streams[number] = stream
        self._sent[number] = 0
        peer = stream.socket.remote_endpoint or ("", 0)
        meant = _original_destination(stream)
        self._signal(
            messages.Accepted(
                listener=listener,
                socket=number,
                address=peer[0],
                port=peer[1],
                original_address=meant[0],
                original_port=meant[1],
            )
        )
        self._machine.tasks.start(self._pump_stream(number, stream), name="tcp")

    def _begin_connection(self, request: messages.ConnectTcp) -> None:
        number = request.socket
        if number >= 0:
            raise OSError(errno.EINVAL, f"socket {number} must be negative")
        if number in self._connecting or number in self._streams:
            return
        self._check_room()
        self._connecting.add(number)
        self._machine.tasks.start(self._connect(number, (request.address, request.port)), name="connect")

    async def _connect(self, number: int, endpoint: tuple[str, int]) -> None:
        try:
            stream = await self._network.connect(endpoint)
        except OSError as error:
            self._connecting.discard(number)
            name = errno.errorcode.get(error.errno or errno.EIO, "EIO")
            self._signal(messages.Reset(socket=number, error=error.strerror or str(error), errno=name))
            return
        if not self._open or number not in self._connecting:
            stream.close()
            return
        self._connecting.discard(number)
        self._streams[number], self._sent[number] = stream, 0
        self._signal(messages.Connected(socket=number))
        await self._pump_stream(number, stream)

    async def _pump_stream(self, number: int, stream: TcpStream) -> None:
        offset = 0
        while self._open and number in self._streams:
            try:
                data = await stream.read()
            except OSError as error:
                self._signal(messages.Reset(socket=number, error=error.strerror or str(error)))
                return
            self._signal(messages.Received(socket=number, offset=offset, data=data))
            offset += len(data)
            if not data:
                return

    async def _send(self, message: Message, request: messages.Send) -> None:
        stream = self._streams.get(request.socket)
        if stream is None or request.offset != self._sent[request.socket]:
            self._reply(message, messages.Refused(errno="ECONNRESET", message="Connection reset by peer"))
            return
        try:
            if request.data:
                self._sent[request.socket] += len(request.data)
                await stream.write(request.data)
            else:
                stream.finish()
        except OSError as error:
            self._reply(message, messages.Refused(errno="EPIPE", message=error.strerror or str(error)))
            return
        self._reply(message, messages.Taken())

    def _close(self, number: int) -> None:
        self._connecting.discard(number)
        if (channel := self._udp.pop(number, None)) is not None:
            channel.close()
        if (listener := self._listeners.pop(number, None)) is not None:
            listener.close()
        if (stream := self._streams.pop(number, None)) is not None:
            self._sent.pop(number, None)
            stream.close()


def _original_destination(stream: TcpStream) -> tuple[str, int]:
    """Where the peer meant to go; without connection tracking that is where it came."""
    try:
        return stream.original_destination()
    except OSError:
        return stream.socket.local_endpoint


def foreign_caller(machine: "Machine", message: Message) -> None:
    """A call for a container that is not claimed here (any more)."""
    if message.reply:
        machine.bus.publish(message.reply, codec.encode(messages.Gone()))


async def end_silent_after_reconnect(claims: Callable[[], list[ClaimedContainer]]) -> None:
    """Asks every claimant to attach, and ends the claims of those that do not."""
    asked = claims()
    for claim in asked:
        claim.ask_who_serves()
    await asyncio.sleep(messages.ATTACH_WITHIN)
    for claim in asked:
        claim.end_if_silent()
