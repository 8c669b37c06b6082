"""What the runtime keeps of sandboxes and containers: in the machine's memory, lost with it."""

import asyncio
from dataclasses import dataclass, field

from podwire.proto.messages.runtime import (
    Container,
    ContainerConfig,
    ContainerState,
    Sandbox,
    SandboxConfig,
    SandboxState,
)
from podwire.services.node.files import ContainerFiles
from podwire.services.node.pipes import Pipe, Writer
from podwire.services.node.process_clock import Shift
from podwire.services.node.processes import PidNamespace, Running
from podwire.services.node.runtime.logs import ContainerLog
from podwire.services.node.terminal import Terminal


@dataclass(slots=True)
class SandboxRecord:
    """A pod's sandbox. `namespace` is its network namespace's name ("" for the host's)."""

    id: str
    config: SandboxConfig
    created_at: int
    namespace: str
    processes: PidNamespace
    """Of a pod that shares it among its containers: its first process is `/pause`."""
    pause: Running | None = None
    state: SandboxState = "READY"
    addresses: tuple[str, ...] = ()
    """The primary family's first; none before it has a network."""

    @property
    def address(self) -> str:
        """The primary family's."""
        return self.addresses[0] if self.addresses else ""

    def status(self) -> Sandbox:
        """As CRI reports it."""
        return Sandbox(
            id=self.id,
            config=self.config,
            state=self.state,
            created_at=self.created_at,
            address=self.address,
            additional_addresses=list(self.addresses[1:]),
            network=self.namespace,
        )


@dataclass(slots=True)
class ContainerRecord:
    """A container and what runs for it."""

    id: str
    sandbox: SandboxRecord
    config: ContainerConfig
    created_at: int
    files: ContainerFiles
    processes: PidNamespace
    state: ContainerState = "CREATED"
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    claimant: str = ""
    log: ContainerLog = field(default_factory=ContainerLog)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    stdin: Pipe = field(default_factory=Pipe)
    """What attached clients type, for a container that has standard input."""
    terminal: Terminal | None = None
    main: Running | None = None
    """Its first process, once it runs."""
    shift: Shift = field(default_factory=Shift)
    """Of the clock that its programs read."""
    attached: list[dict[str, Writer]] = field(default_factory=list)
    """Where else its output goes: writers for "stdout" and "stderr" of each attached client."""

    def status(self) -> Container:
        """As CRI reports it."""
        return Container(
            id=self.id,
            sandbox=self.sandbox.id,
            config=self.config,
            state=self.state,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            reason=self.reason,
            message=self.message,
            claimant=self.claimant,
        )
