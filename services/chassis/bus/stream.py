"""JetStream's stream as the in-memory bus keeps it: stored messages, and the newest sequence of each subject."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from podwire.services.chassis.bus import base


@dataclass(slots=True)
class Stream:
    """The stored messages and the newest sequence of each subject."""

    birth: str
    messages: dict[int, base.Stored] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    last: int = 0
    full: bool = False
    """There is no room for another message."""
    observers: list[Callable[[base.Stored], None]] = field(default_factory=list)
    """Told of each message as it is stored."""
    history: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    """Of everything that was ever appended, purged or not."""

    def append(self, subject: str, payload: bytes, expected: int | None) -> base.Stored:
        if self.full:
            raise base.StreamUnavailable("insufficient storage resources available")
        if expected is not None and self.newest.get(subject, 0) != expected:
            raise base.WrongLastSequence(subject, expected)
        self.last += 1
        stored = base.Stored(self.last, subject, payload)
        self.history.update(f"{self.last} {subject} {len(payload)} ".encode() + payload)
        self.messages[self.last] = stored
        self.newest[subject] = self.last
        for observe in self.observers:
            observe(stored)
        return stored

    def restore(self, messages: Iterable[base.Stored], last: int) -> None:
        """Begins with what another stream held, at its sequences."""
        self.messages = {stored.sequence: stored for stored in messages}
        self.newest = {stored.subject: stored.sequence for stored in self.messages.values()}
        self.last = last

    def purge(self, subject: str, before: int) -> int:
        gone = [sequence for sequence, kept in self.messages.items() if kept.subject == subject]
        gone = [sequence for sequence in gone if sequence < before]
        for sequence in gone:
            del self.messages[sequence]
        if self.newest.get(subject, 0) < before:
            self.newest.pop(subject, None)
        return len(gone)

    def replay(self, start: int | None) -> list[base.Stored]:
        if start is not None:
            return [stored for sequence, stored in self.messages.items() if sequence >= start]
        return [self.messages[sequence] for sequence in sorted(self.newest.values())]
