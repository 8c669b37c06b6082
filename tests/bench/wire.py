"""Two machines as two real processes on a real NATS server, against raw nats-py between the same processes' like."""

import asyncio
import multiprocessing
import multiprocessing.connection
import secrets
import tempfile
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import nats
import uvloop
from tests.bench import linux
from tests.bench.kernels import PAYLOAD, PORT, Counting, link_to, udp_frame
from tests.bench.table import Row
from tests.unit.kernel.topology import Network

from podwire.scripts.cluster.ports import free_port
from podwire.services.chassis.bus.nats import NatsBus, wait_until_listening
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.live.clock import LiveClock
from podwire.services.chassis.live.nats_server import Account, NatsServer, User
from podwire.services.node.kernel.sockets.ping import Echo
from podwire.services.node.shell import KernelShell

Pipe = multiprocessing.connection.Connection
Part = Callable[[str, Pipe], Coroutine[Any, Any, None]]
FLOWS: Final = 1000
PACKETS: Final = 120_000
RAW_MESSAGES: Final = 60_000
YIELD_EVERY: Final = 64
PINGS: Final = 2000
STREAM: Final = 20_000_000
OUTER: Final = 14 + 20 + 8 + 8 + 14 + 20 + 8 + 200
"""Bytes of the frame between the machines for 200 bytes of payload."""
SETTLED: Final = 0.3
ROUNDS: Final = 3
Measured = tuple[list[tuple[float, float]], float]
"""For each run packets/s at the receiver and the share that was lost; then the median round trip in seconds."""


class Machine:
    """One machine of the toy topology on the real bus; the other's kernel is there for its addresses alone."""

    def __init__(self, number: int, bus: NatsBus) -> None:
        self.network = Network(2)
        self.addresses = [self.network[each].pod("pod", 2) for each in (1, 2)]
        self.node = self.network[number]
        self.kernel = self.node.kernel
        self.bus = bus
        self.shell = KernelShell(self.kernel, bus, LiveClock())
        self.kernel.transmitted.clear()
        self.shell.plug("eth0", "lan", self.node.mac)


async def connect(url: str) -> NatsBus:
    bus = NatsBus(f"bench.{secrets.token_hex(4)}", RandomStream(secrets.randbits(64)))
    await bus.connect(url, "bench", "bench")
    return bus


async def settled(count: Callable[[], int]) -> tuple[int, float]:
    """Waits until a count stands still; what it is, and when it last changed."""
    seen, changed = count(), time.perf_counter()
    while time.perf_counter() - changed < SETTLED or not seen:
        await asyncio.sleep(0.002)
        if (now := count()) != seen:
            seen, changed = now, time.perf_counter()
    return seen, changed


async def receiver(url: str, pipe: Pipe) -> None:
    """The machine that receives: a pod's socket counts."""
    bus = await connect(url)
    machine = Machine(2, bus)
    socket_of_pod = Counting(machine.network, 2, "pod")
    await bus.flush()
    pipe.send("ready")
    for run in range(2):
        before = run * PACKETS
        pipe.send(await settled(lambda before=before: socket_of_pod.count - before))  # type: ignore[misc]  # mypy cannot type a lambda's default
        while not pipe.poll():
            await asyncio.sleep(0.01)
        pipe.recv()
    await asyncio.sleep(3600)


async def sender(url: str, pipe: Pipe) -> None:
    """The machine that sends: one flow, a thousand flows, then pings."""
    bus = await connect(url)
    machine = Machine(1, bus)
    await bus.flush()
    link = link_to(machine.network, 1, "pod", "cni0")
    await ping(machine, 3)  # neighbours are known, as between pods that talk
    for flows in (1, FLOWS):
        frames = [udp_frame(link, *machine.addresses, 10_000 + port, PORT) for port in range(flows)]
        pipe.recv()
        pipe.send((await send_all(machine, frames), PACKETS))
    pipe.recv()
    pipe.send(await ping(machine, PINGS))


async def send_all(machine: Machine, frames: list[bytes]) -> float:
    """Sends in a tight loop that yields; when it began."""
    began, clock = time.perf_counter(), LiveClock()
    for start in range(0, PACKETS, YIELD_EVERY):
        now = clock.monotonic_ns()
        with machine.shell.turn() as kernel:
            for index in range(start, start + YIELD_EVERY):
                kernel.send_frame("pod", "eth0", frames[index % len(frames)], now)
        await asyncio.sleep(0)
    await machine.bus.flush()
    return began


async def ping(machine: Machine, count: int) -> float:
    """The median seconds of an echo between the pods."""
    arrived = asyncio.Event()
    with machine.shell.turn():
        pinger = machine.node.sockets("pod").open_ping()
    pinger.on_ready = arrived.set
    times = []
    for sequence in range(count):
        arrived.clear()
        began = time.perf_counter()
        with machine.shell.turn():
            pinger.send_echo(machine.addresses[1], sequence & 0xFFFF)
        await arrived.wait()
        times.append(time.perf_counter() - began)
        assert isinstance(pinger.receive(), Echo)
    return sorted(times)[len(times) // 2]


async def stream_receiver(url: str, pipe: Pipe) -> None:
    """A pod's TCP socket that reads everything."""
    bus = await connect(url)
    machine = Machine(2, bus)
    arrived = asyncio.Event()
    with machine.shell.turn():
        listener = machine.node.sockets("pod").listen_tcp(("0.0.0.0", 80))
    listener.on_ready = arrived.set
    await bus.flush()
    pipe.send("ready")
    await arrived.wait()
    connection, count = listener.accept(), 0
    assert connection is not None
    connection.on_ready = arrived.set
    while count < STREAM:
        with machine.shell.turn():
            data = connection.receive(1 << 20)
        if data is None:
            arrived.clear()
            await arrived.wait()
        else:
            count += len(data)
    pipe.send((count, time.perf_counter()))
    await asyncio.sleep(3600)


async def stream_sender(url: str, pipe: Pipe) -> None:
    """A pod's TCP socket that writes as fast as it may."""
    bus = await connect(url)
    machine = Machine(1, bus)
    changed = asyncio.Event()
    await bus.flush()
    pipe.recv()
    began, sent, block = time.perf_counter(), 0, bytes(64 * 1024)
    with machine.shell.turn():
        connection = machine.node.sockets("pod").open_tcp()
        connection.on_ready = changed.set
        connection.connect((machine.addresses[1], 80))
    while sent < STREAM:
        changed.clear()
        taken = 0
        if connection.state == "ESTABLISHED":
            with machine.shell.turn():
                taken = connection.send(block)
        sent += taken
        if not taken:
            await changed.wait()
        await asyncio.sleep(0)
    pipe.send(began)
    await asyncio.sleep(3600)


def goodput(url: str) -> float:
    """Bytes/s of one TCP connection between pods on two machines."""
    receiver_process, receiver_pipe = child(stream_receiver, url)
    assert answered(receiver_pipe) == "ready"
    sender_process, sender_pipe = child(stream_sender, url)
    sender_pipe.send("go")
    began = answered(sender_pipe)
    count, ended = answered(receiver_pipe)
    for process in (sender_process, receiver_process):
        process.kill()
        process.join()
    return float(count / (ended - began))


async def raw_receiver(url: str, pipe: Pipe) -> None:
    """Counts in a callback; answers requests."""
    client = await nats.connect(url, user="bench", password="bench")
    count = 0

    async def take(_: Any) -> None:
        nonlocal count
        count += 1

    async def answer(message: Any) -> None:
        await client.publish(message.reply, message.data)

    await client.subscribe("raw", cb=take, pending_msgs_limit=0, pending_bytes_limit=0)
    await client.subscribe("ask", cb=answer)
    await client.flush()
    pipe.send("ready")
    pipe.send(await settled(lambda: count))
    await asyncio.sleep(3600)


async def raw_sender(url: str, pipe: Pipe) -> None:
    """One publish a message of the outer frame's size; then a request and reply ping-pong."""
    client = await nats.connect(url, user="bench", password="bench", pending_size=64 * 1024 * 1024)
    payload = bytes(OUTER)
    pipe.recv()
    began = time.perf_counter()
    for number in range(RAW_MESSAGES):
        await client.publish("raw", payload)
        if number % YIELD_EVERY == 0:
            await asyncio.sleep(0)
    await client.flush()
    pipe.send((began, RAW_MESSAGES))
    pipe.recv()
    times = []
    for _ in range(PINGS):
        start = time.perf_counter()
        await client.request("ask", payload, timeout=5)
        times.append(time.perf_counter() - start)
    pipe.send(sorted(times)[len(times) // 2])


def child(part: Part, url: str) -> tuple[multiprocessing.Process, Pipe]:
    """Runs a part in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: uvloop.run(part(url, theirs)), daemon=True)  # type: ignore[arg-type]  # a part's coroutine
    process.start()
    return process, ours


def answered(pipe: Pipe) -> Any:
    """The next message of a child that must not take for ever."""
    if not pipe.poll(60):
        raise TimeoutError("a bench process does not answer")
    return pipe.recv()


def rates(sending: Part, receiving: Part, url: str, runs: int) -> Measured:
    """Runs two parts against each other."""
    receiver_process, receiver_pipe = child(receiving, url)
    assert answered(receiver_pipe) == "ready"
    sender_process, sender_pipe = child(sending, url)
    found = []
    for run in range(runs):
        sender_pipe.send("go")
        began, sent = answered(sender_pipe)
        count, ended = answered(receiver_pipe)
        found.append((count / (ended - began), 1 - count / sent))
        if run < runs - 1 or runs > 1:
            receiver_pipe.send("next")
    sender_pipe.send("go")
    round_trip = answered(sender_pipe)
    for process in (sender_process, receiver_process):
        process.kill()
        process.join()
    return found, round_trip


def measure() -> Iterator[Row]:
    """All rows, measured on one server in one go."""
    with tempfile.TemporaryDirectory() as folder:
        account = Account({"bench": User("bench", (">",), (">",))}, "system")
        server = NatsServer(Path(folder), free_port(), account)
        server.start()
        try:
            asyncio.run(wait_until_listening("127.0.0.1", server.port))
            rounds = [
                (rates(raw_sender, raw_receiver, server.url, 1), rates(sender, receiver, server.url, 2))
                for _ in range(ROUNDS)
            ]
            streamed = max(goodput(server.url) for _ in range(ROUNDS))
        finally:
            server.kill()
    best = yield from told(rounds)
    yield from beside_linux(best, streamed)


def beside_linux(rate: float, streamed: float) -> Iterator[Row]:
    """TCP's goodput, and this machine's own kernel on the same packets."""
    yield Row("TCP goodput pod to pod across nodes, MB/s", f"{streamed / 1e6:,.1f}")
    if reason := linux.reason_against():
        yield Row("  the kernel's own VXLAN between namespaces", f"not measured: {reason}")
        return
    datagrams, stream = linux.rates(len(PAYLOAD))
    yield Row("the kernel's own VXLAN, UDP packets/s / TCP MB/s", f"{datagrams:,.0f} / {stream / 1e6:,.0f}")
    yield Row("  podwire as a ratio of it", f"{rate / datagrams:.2f} / {streamed / stream:.4f}")


def told(rounds: list[tuple[Measured, Measured]]) -> Generator[Row, None, float]:
    """The best of the rounds: what else the machine does can only slow things down. Returns packets/s of one flow."""
    base = max(found[0][0] for (found, _), _ in rounds)
    yield Row(f"raw nats-py, messages/s of {OUTER} bytes", f"{base:,.0f}")
    for run, name in enumerate(("one flow", f"{FLOWS:,} flows")):
        rate, lost = max(found[run] for _, (found, _) in rounds)
        yield Row(f"cross-node packets/s, {name}", f"{rate:,.0f}" + (f" ({lost:.1%} lost)" if lost else ""))
        yield Row("  as a ratio of raw nats-py", f"{rate / base:.2f}", "0.5, then 1.0")
    raw_trip, trip = min(trip for (_, trip), _ in rounds), min(trip for _, (_, trip) in rounds)
    yield Row("RTT pod to pod across nodes / raw request and reply, µs", f"{trip * 1e6:,.0f} / {raw_trip * 1e6:,.0f}")
    yield Row("  as a ratio", f"{trip / raw_trip:.2f}", "1.3 at most")
    return max(found[0] for _, (found, _) in rounds)[0]
