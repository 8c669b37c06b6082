"""A machine for programs to run on in virtual time: one kernel, two pods on a bridge, files, collected output."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from podwire.proto.messages import kernel as m
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.simulation.loop import SimulatedClock, SimulationLoop
from podwire.services.node.files import Files
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.network.sockets import Network
from podwire.services.node.pipes import NewlineWriter, NoInput, Pipe, Reader, Sink
from podwire.services.node.process import Process, Program
from podwire.services.node.processes import PidNamespace
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.sh import sh
from podwire.services.node.programs.toolboxes import HOST
from podwire.services.node.runtime.programs import run
from podwire.services.node.shell import KernelShell
from podwire.services.node.terminal import Terminal

CLIENT, SERVER = "10.244.1.2", "10.244.1.3"


class SilentBus:
    """Takes what leaves the machine."""

    connected = True

    def publish(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""


class PlainClock:
    """The same time, but not a simulation's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the start."""
        return self._clock.monotonic_ns()


@dataclass
class Result:
    """What a program left behind."""

    code: int
    out: str
    err: str


@dataclass
class Machine:
    """Runs programs in the pods `client` and `server`, or on the machine itself ("")."""

    seed: int = 7
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = SimulationLoop(self.seed)
        self.clock = SimulatedClock(self.loop)
        self.random = RandomStream(self.seed)
        self.kernel = Kernel("node-1", "boot", self.random)
        self.folder = Files({"/etc/hostname": b"client\n", "/tmp/.keep": b"", **self.files})
        self._do(
            m.LinkAdd(kind="bridge", name="cni0", address="02:00:00:00:02:01", up=True),
            m.AddressAdd(device="cni0", address="10.244.1.1/24", broadcast="+"),
            m.SysctlWrite(key="net.ipv4.ip_forward", value="1"),
        )
        for name, address in (("client", CLIENT), ("server", SERVER)):
            self._do(
                m.NetnsAdd(netns=name),
                m.LinkSet(netns=name, name="lo", up=True),
                m.LinkAdd(kind="veth", name=f"veth-{name}", peer="eth0", peer_netns=name, mtu=1450, up=True),
                m.LinkSet(name=f"veth-{name}", master="cni0"),
                m.LinkSet(netns=name, name="eth0", up=True),
                m.AddressAdd(netns=name, device="eth0", address=f"{address}/24", broadcast="+"),
                m.RouteAdd(netns=name, destination="default", via="10.244.1.1"),
            )

    def _do(self, *operations: m.Operation) -> None:
        for operation in operations:
            apply_operation(self.kernel, operation)

    @property
    def nobody(self) -> Reader:
        """No input, as a container's first program has it."""
        return NoInput()

    def folder_of_image(self, files: dict[str, bytes]) -> None:
        """Adds an image's files; both pods see them."""
        for path, data in files.items():
            self.folder.write(path, data)

    def process(
        self, arguments: list[str], stdin: Reader, out: bytearray, err: bytearray, where: str = "client"
    ) -> Process:
        """The surroundings of a program."""
        return Process(
            arguments=arguments,
            environment={"PATH": "/bin", "HOME": "/root"},
            files=self.folder,
            network=Network(self.shell, where),
            stdin=stdin,
            stdout=Sink(out.extend),
            stderr=Sink(err.extend),
            hostname=where or "node-1",
            clock=self.clock,
            random=self.random,
            programs=dict(HOST),
        )

    async def run(
        self,
        arguments: list[str],
        stdin: bytes = b"",
        where: str = "client",
        program: Program | None = None,
        limit: float = 3600,
    ) -> Result:
        """Runs one program to its end. Raises TimeoutError after `limit` virtual seconds."""
        out, err = bytearray(), bytearray()
        process = self.process(arguments, BytesReader(stdin), out, err, where)
        async with asyncio.timeout(limit):
            code = await run(process, program or HOST[arguments[0]])
        return Result(code, out.decode(errors="replace"), err.decode(errors="replace"))

    def play(self, scene: Callable[["Machine"], Awaitable[Any]]) -> Any:
        """Runs a scene to its end in virtual time."""

        async def main() -> Any:
            self.shell = KernelShell(self.kernel, cast(Bus, SilentBus()), self.clock)
            return await scene(self)

        return self.loop.run_until_complete(main())


async def type_into(machine: Machine, arguments: list[str], typed: list[bytes], out: bytearray) -> int:
    """A shell on a terminal of 33 rows and 101 columns on which something is typed every second; its exit code."""
    process, keys = machine.process(arguments, machine.nobody, out, out), Pipe()
    process.processes = PidNamespace(first=100)
    terminal = Terminal(keys, process.stdout)
    terminal.resize(101, 33)
    shown = NewlineWriter(process.stdout)
    process.terminal, process.stdin, process.stdout, process.stderr = terminal, terminal, shown, shown

    async def press() -> None:
        for each in typed:
            await asyncio.sleep(1)
            await keys.write(each)

    tasks = [asyncio.get_running_loop().create_task(work) for work in (terminal.pump(), press())]
    try:
        return await run(process, sh)
    finally:
        for task in tasks:
            task.cancel()


def run_line(arguments: list[str], stdin: bytes = b"", files: dict[str, bytes] | None = None) -> Result:
    """One program on a machine of its own."""
    result: Result = Machine(files=files or {}).play(lambda machine: machine.run(arguments, stdin))
    return result


def run_script(script: str, stdin: bytes = b"", files: dict[str, bytes] | None = None) -> Result:
    """`sh -c SCRIPT` on a machine of its own."""
    return run_line(["sh", "-c", script], stdin, files)


def run_on_machine(script: str) -> Result:
    """A script as `podwire ssh` runs it: on the machine itself, whose kernel it may change."""

    async def scene(machine: Machine) -> Result:
        out, err = bytearray(), bytearray()
        process = machine.process(["sh", "-c", script], machine.nobody, out, err, "")
        process.machine = object()  # type: ignore[assignment]  # only whether there is one matters
        code = await process.programs["sh"](process)
        return Result(code, out.decode(), err.decode())

    result: Result = Machine().play(scene)
    return result
