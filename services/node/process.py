"""What a running program gets: arguments, environment, files, network, streams; the machine if it is the host's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from podwire.services.chassis.chance import RandomBits
from podwire.services.chassis.clock import Clock
from podwire.services.node.files import ContainerFiles, Files
from podwire.services.node.network.resolv_conf import Library
from podwire.services.node.network.resolver import Resolver
from podwire.services.node.network.sockets import Network
from podwire.services.node.pipes import Reader, Writer
from podwire.services.node.processes import PidNamespace, Running
from podwire.services.node.terminal import Terminal

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

FileView = Files | ContainerFiles


@dataclass(slots=True)
class Process:
    """One program's surroundings. `machine` is set for programs that may see the machine itself (the host's own), and
    `is_main` for a container's first program and what that runs."""

    arguments: list[str]
    environment: dict[str, str]
    files: FileView
    network: Network
    stdin: Reader
    stdout: Writer
    stderr: Writer
    hostname: str
    clock: Clock
    random: RandomBits
    programs: "dict[str, Program]"
    folder: str = "/"
    machine: "Machine | None" = None
    terminal: Terminal | None = None
    user: int = 0
    group: int = 0
    processes: PidNamespace = field(default_factory=PidNamespace)
    running: Running | None = None
    is_main: bool = False
    files_open: dict[int, Reader | Writer] = field(default_factory=dict)
    """File descriptors above 2."""
    library: Library = "glibc"
    """The C library of the image's programs."""

    @property
    def is_terminal(self) -> bool:
        """Whether standard input is one."""
        return self.terminal is not None

    @property
    def pid(self) -> int:
        """Its id in its own namespace."""
        return self.running.pid if self.running is not None else 1

    def resolver(self) -> Resolver:
        """Names, as the C library looks them up."""
        return Resolver(self.network, self.files, self.random, self.library)

    def with_arguments(self, arguments: list[str]) -> "Process":
        """The same surroundings for another program."""
        return replace(self, arguments=arguments)

    async def print(self, text: str) -> None:
        """Writes text to standard output as it is."""
        await self.stdout.write(text.encode())

    async def complain(self, text: str) -> None:
        """Writes a line to standard error."""
        await self.stderr.write(f"{text}\n".encode())


Program = Callable[[Process], Awaitable[int]]
"""A program: its exit code."""
