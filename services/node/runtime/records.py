"""What the runtime keeps of sandboxes and containers: in the machine's memory, lost with it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from podwire.proto.messages.runtime import (
    Container,
    ContainerConfig,
    ContainerState,
    LogLine,
    Sandbox,
    SandboxConfig,
    SandboxState,
)
from podwire.services.node.files import ContainerFiles

LOG_LINES: Final = 10_000
LONGEST_LINE: Final = 16 * 1024


@dataclass(slots=True)
class SandboxRecord:
    """A pod's sandbox. `namespace` is its network namespace's name ("" for the host's)."""

    id: str
    config: SandboxConfig
    created_at: int
    namespace: str
    state: SandboxState = "READY"
    address: str = ""

    def status(self) -> Sandbox:
        """As CRI reports it."""
        return Sandbox(
            id=self.id, config=self.config, state=self.state, created_at=self.created_at, address=self.address
        )


class ContainerLog:
    """The lines that a container wrote; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._first = 0
        self._partial: dict[str, bytes] = {}

    def write(self, stream: str, data: bytes, now: int) -> None:
        """Takes output; a line is kept once it is complete, or too long."""
        rest = self._partial.pop(stream, b"") + data
        *lines, rest = rest.split(b"\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        for line in lines:
            self.add(stream, line.decode(errors="replace"), now)
        if rest:
            self._partial[stream] = rest

    def add(self, stream: str, text: str, now: int) -> None:
        """Takes one line."""
        if len(self._lines) == LOG_LINES:
            self._first += 1
        self._lines.append(LogLine(now, stream, text))

    def finish(self, now: int) -> None:
        """Keeps what was not ended by a newline."""
        for stream, rest in list(self._partial.items()):
            self.add(stream, rest.decode(errors="replace"), now)
        self._partial.clear()

    def read(self, start: int) -> tuple[int, list[LogLine]]:
        """The lines from `start` on, and the number of the first."""
        begin = max(start, self._first)
        return begin, list(self._lines)[begin - self._first :]


@dataclass(slots=True)
class ContainerRecord:
    """A container and what runs for it."""

    id: str
    sandbox: SandboxRecord
    config: ContainerConfig
    created_at: int
    files: ContainerFiles
    state: ContainerState = "CREATED"
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    claimant: str = ""
    log: ContainerLog = field(default_factory=ContainerLog)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

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
