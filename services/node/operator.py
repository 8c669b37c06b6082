"""What an operator can do on a machine: run a command line on it, and make a traced connection from it or its pods."""

import asyncio
import errno
from dataclasses import replace
from typing import TYPE_CHECKING

import h11

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.packet.icmp import ECHO_REPLY
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.node.images.catalogue import host_programs
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.pipes import NewlineWriter, Reader, Writer
from podwire.services.node.process import Process
from podwire.services.node.runtime import programs
from podwire.services.node.runtime.sessions import Session
from podwire.services.node.terminal import Terminal

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
        return codec.encode(await _connect(machine, call))

    Responder(machine.bus, machine.tasks, answer).serve(subjects.machine(machine.name))


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
    if not call.pod:
        return Network(machine.shell, "", call.trace)
    for sandbox in machine.runtime.sandboxes.records.values():
        place = (sandbox.config.namespace, sandbox.config.name)
        if place == (call.namespace, call.pod) and sandbox.state == "READY":
            return Network(machine.shell, sandbox.namespace, call.trace)
    return None


async def _connect(machine: "Machine", call: messages.Connect) -> messages.Answer:
    network = _network(machine, call)
    if network is None:
        return messages.Refused(message=f"pod {call.namespace}/{call.pod} has no sandbox on {machine.name}")
    begun = machine.clock.monotonic_ns()
    try:
        async with asyncio.timeout(call.timeout):
            text, success = await _exchange(network, call), True
    except TimeoutError:
        text, success = f"no answer within {call.timeout:g} s", False
    except (OSError, h11.RemoteProtocolError) as error:
        text, success = getattr(error, "strerror", None) or str(error), False
    return messages.Outcome(success=success, text=text, duration=machine.clock.monotonic_ns() - begun)


async def _exchange(network: Network, call: messages.Connect) -> str:
    if call.kind == "icmp":
        return await _ping(network, call.address)
    if call.kind == "udp":
        return await _send_datagram(network, call)
    stream = await network.connect((call.address, call.port))
    try:
        return "connected" if call.kind == "tcp" else await _get(stream, call)
    finally:
        stream.close()


async def _ping(network: Network, address: str) -> str:
    pinger = network.open_ping()
    try:
        pinger.send(address, 1, bytes(56))
        echo = await pinger.receive()
    finally:
        pinger.close()
    if echo.type != ECHO_REPLY:
        raise OSError(errno.EHOSTUNREACH, f"ICMP type {echo.type} code {echo.code} from {echo.source}")
    return f"echo reply from {echo.source}"


async def _send_datagram(network: Network, call: messages.Connect) -> str:
    channel = network.open_udp()
    try:
        channel.send(b"podwire trace\n", (call.address, call.port))
        datagram = await channel.receive()
    finally:
        channel.close()
    return f"{len(datagram.payload)} bytes from {datagram.source[0]}"


async def _get(stream: TcpStream, call: messages.Connect) -> str:
    client = h11.Connection(h11.CLIENT)
    host = call.host or f"{call.address}:{call.port}"
    headers = [("Host", host), ("User-Agent", "podwire-trace"), ("Accept", "*/*"), ("Connection", "close")]
    request = h11.Request(method="GET", target=call.path or "/", headers=headers)
    await stream.write((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, size = "", 0
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            status = f"HTTP {event.status_code} {event.reason.decode(errors='replace')}".rstrip()
        elif isinstance(event, h11.Data):
            size += len(event.data)
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return f"{status}, {size} bytes"
