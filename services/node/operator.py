"""What an operator can do on a machine: run a command line on it, make a traced connection from it or its pods, send
packets from them, see the packets that pass."""

import asyncio
import errno
from dataclasses import replace
from typing import TYPE_CHECKING

import h11

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import ECHO_REPLY
from podwire.proto.packet.icmpv6 import ECHO_REPLY as ECHO_REPLY6
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.clock import Clock
from podwire.services.node.images.catalogue import host_programs
from podwire.services.node.network import sctp
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.pipes import NewlineWriter, Reader, Writer
from podwire.services.node.process import Process
from podwire.services.node.runtime import programs
from podwire.services.node.runtime.sessions import Session
from podwire.services.node.terminal import Terminal
from podwire.services.node.traffic.capture import MachineCapture, run_capture
from podwire.services.node.traffic.inject import inject

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine


def serve_operator(machine: "Machine") -> None:
    """Answers on `machine.<node>`."""

    async def answer(message: Message) -> bytes:
        try:
            call = codec.decode(messages.MachineRequest, message.payload).call
        except codec.ForeignMessage as error:
            return codec.encode(messages.Refused(message=str(error)))
        if isinstance(call, messages.Shell):
            _start_shell(machine, call)
            return codec.encode(messages.Accepted())
        if isinstance(call, messages.Inject):
            return codec.encode(_inject(machine, call))
        if isinstance(call, messages.Capture):
            return codec.encode(_start_capture(machine, call))
        return codec.encode(await _connect(machine, call))

    Responder(machine.bus, machine.tasks, answer).serve(subjects.machine(machine.name))


def _namespace(machine: "Machine", namespace: str, pod: str) -> str | None:
    """The network namespace of a pod ("": the machine's own); None if the pod is not here."""
    if not pod:
        return ""
    for sandbox in machine.runtime.sandboxes.records.values():
        if (sandbox.config.namespace, sandbox.config.name) == (namespace, pod) and sandbox.state == "READY":
            return sandbox.namespace
    return None


def _no_pod(machine: "Machine", namespace: str, pod: str) -> messages.Refused:
    return messages.Refused(message=f"pod {namespace}/{pod} does not run on {machine.name}")


# -- packets


def _inject(machine: "Machine", call: messages.Inject) -> messages.Injected | messages.Refused:
    namespace = _namespace(machine, call.namespace, call.pod)
    if namespace is None:
        return _no_pod(machine, call.namespace, call.pod)
    if len(call.packets) > messages.MOST_PACKETS:
        return messages.Refused(message=f"{len(call.packets)} packets: at most {messages.MOST_PACKETS} go at once")
    return inject(machine.shell, namespace, call)


def _start_capture(machine: "Machine", call: messages.Capture) -> messages.Accepted | messages.Refused:
    namespace = _namespace(machine, call.namespace, call.pod) if call.pod else None
    if call.pod and namespace is None:
        return _no_pod(machine, call.namespace, call.pod)
    try:
        capture = MachineCapture(machine, call, namespace)
    except PacketError as error:
        return messages.Refused(message=error.reason)
    session = Session(machine.bus, machine.name, call.session, stdin=True)
    session.serve(machine.tasks, run_capture(machine, capture, session))
    return messages.Accepted()


# -- a command line


def _start_shell(machine: "Machine", call: messages.Shell) -> None:
    session = Session(machine.bus, machine.name, call.session, call.stdin)
    run = _run_on_terminal if call.tty else _run_plain
    session.serve(machine.tasks, run(machine, call, session))


async def _run_plain(machine: "Machine", call: messages.Shell, session: Session) -> None:
    process = _process(machine, call, (session.stdin, session.stdout, session.stderr))
    session.finish(await _run(process, session))


async def _run_on_terminal(machine: "Machine", call: messages.Shell, session: Session) -> None:
    terminal = Terminal(session.stdin if call.stdin else None, session.stdout)
    terminal.resize(call.columns, call.rows)
    session.watch_size(terminal.resize)
    shown = NewlineWriter(session.stdout)
    process = _process(machine, call, (terminal, shown, shown))
    process.terminal = terminal
    process.environment["TERM"] = call.term or "dumb"
    pump = machine.tasks.start(terminal.pump(), name="terminal")
    try:
        session.finish(await _run(process, session))
    finally:
        pump.cancel()


async def _run(process: Process, session: Session) -> int:
    """Runs the shell, and passes signals on to it and to what it runs."""
    program = process.programs["sh"]
    running = programs.begin(process, program)

    def send(number: int) -> None:
        for each in (*running.foreground(), running):
            each.send(number, each.namespace)

    session.watch_signals(send)
    return await running.run(lambda: programs.run_in_place(replace(process, running=running), program))


def _process(machine: "Machine", call: messages.Shell, streams: tuple[Reader, Writer, Writer]) -> Process:
    installed = host_programs()
    return Process(
        arguments=["sh", "-c", call.command] if call.command else ["sh"],
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root"},
        files=machine.files,
        network=Network(machine.shell, ""),
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        hostname=machine.name,
        clock=machine.clock,
        random=machine.random,
        programs=installed,
        folder="/root",
        machine=machine,
        processes=machine.processes,
    )


# -- a traced connection


def _network(machine: "Machine", call: messages.Connect) -> Network | None:
    namespace = _namespace(machine, call.namespace, call.pod)
    return None if namespace is None else Network(machine.shell, namespace, call.trace)


async def _connect(machine: "Machine", call: messages.Connect) -> messages.Answer:
    network = _network(machine, call)
    if network is None:
        return _no_pod(machine, call.namespace, call.pod)
    return await exchange(network, call, machine.clock)


async def exchange(network: Network, call: messages.Connect, clock: Clock) -> messages.Outcome:
    """One exchange from a namespace, traced if the network is."""
    begun = clock.monotonic_ns()
    success, body = False, b""
    try:
        async with asyncio.timeout(call.timeout):
            text, body = await _exchange(network, call)
            success = True
    except TimeoutError:
        text = messages.no_answer(call.timeout)
    except (OSError, h11.RemoteProtocolError) as error:
        text = getattr(error, "strerror", None) or str(error)
    return messages.Outcome(success=success, text=text, duration=clock.monotonic_ns() - begun, body=body)


type _Answer = tuple[str, bytes]
"""What came of it in words, and the beginning of what the peer said."""


async def _exchange(network: Network, call: messages.Connect) -> _Answer:
    if call.kind == "icmp":
        return await _ping(network, call.address), b""
    if call.kind == "udp":
        return await _send_datagram(network, call)
    if call.kind == "sctp":
        (await sctp.connect(network, (call.address, call.port))).close()
        return "connected", b""
    stream = await network.connect((call.address, call.port))
    try:
        return ("connected", b"") if call.kind == "tcp" else await _get(stream, call)
    finally:
        stream.close()


async def _ping(network: Network, address: str) -> str:
    pinger = network.open_ping()
    try:
        pinger.send(address, 1, bytes(56))
        echo = await pinger.receive()
    finally:
        pinger.close()
    if echo.type not in (ECHO_REPLY, ECHO_REPLY6):
        raise OSError(errno.EHOSTUNREACH, f"ICMP type {echo.type} code {echo.code} from {echo.source}")
    return f"echo reply from {echo.source}"


async def _send_datagram(network: Network, call: messages.Connect) -> _Answer:
    channel = network.open_udp(call.source_port or None)
    try:
        with network.shell.turn():  # connected, so that an ICMP error is heard of
            channel.socket.connect((call.address, call.port))
            channel.socket.send(call.data)
        datagram = await channel.receive()
    finally:
        channel.close()
    return f"{len(datagram.payload)} bytes from {datagram.source[0]}", datagram.payload[: messages.LONGEST_BODY]


async def _get(stream: TcpStream, call: messages.Connect) -> _Answer:
    client = h11.Connection(h11.CLIENT)
    host = call.host or f"{call.address}:{call.port}"
    headers = [("Host", host), ("User-Agent", "podwire-trace"), ("Accept", "*/*"), ("Connection", "close")]
    request = h11.Request(method="GET", target=call.path or "/", headers=headers)
    await stream.write((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, size, body = "", 0, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            status = f"HTTP {event.status_code} {event.reason.decode(errors='replace')}".rstrip()
        elif isinstance(event, h11.Data):
            size += len(event.data)
            body += bytes(event.data[: messages.LONGEST_BODY - len(body)])
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return f"{status}, {size} bytes", body
