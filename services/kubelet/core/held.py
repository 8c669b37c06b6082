"""What the runtime holds for one pod."""

from dataclasses import dataclass

from podwire.proto.messages.runtime import Container, Sandbox


@dataclass(frozen=True, slots=True)
class RuntimePod:
    """What the runtime holds for one pod, newest sandbox and newest attempts first."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()

    @property
    def newest_sandbox(self) -> Sandbox | None:
        """The newest sandbox, ready or not."""
        return max(self.sandboxes, key=lambda entry: entry.config.attempt, default=None)

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox, if it is ready."""
        newest = self.newest_sandbox
        return newest if newest is not None and newest.state == "READY" else None

    @property
    def running(self) -> list[Container]:
        """The containers that run."""
        return [entry for entry in self.containers if entry.state == "RUNNING"]

    def newest(self, name: str) -> Container | None:
        """A container's newest attempt."""
        attempts = (entry for entry in self.containers if entry.config.name == name)
        return max(attempts, key=lambda entry: (entry.config.attempt, entry.created_at), default=None)

    def active(self, name: str) -> Container | None:
        """A container's newest attempt, if it belongs to the newest sandbox."""
        newest, sandbox = self.newest(name), self.newest_sandbox
        return newest if newest is not None and sandbox is not None and newest.sandbox == sandbox.id else None

    def attempts(self, name: str) -> list[Container]:
        """All attempts of a container, oldest first."""
        found = [entry for entry in self.containers if entry.config.name == name]
        return sorted(found, key=lambda entry: (entry.config.attempt, entry.created_at))
