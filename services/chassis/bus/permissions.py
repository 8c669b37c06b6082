"""What a user may say and hear on the bus, by NATS's rules for subject patterns."""

from dataclasses import dataclass
from functools import lru_cache

from podwire.proto import subjects


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one user may publish and subscribe to (subject patterns)."""

    publish: tuple[str, ...] = (">",)
    subscribe: tuple[str, ...] = (">",)

    def may_publish(self, subject: str) -> bool:
        return _any_takes(self.publish, subject)

    def may_subscribe(self, subject: str) -> bool:
        return any(_covers(pattern, subject) for pattern in self.subscribe)


@lru_cache(4096)
def _any_takes(patterns: tuple[str, ...], subject: str) -> bool:
    return any(subjects.matches(pattern, subject) for pattern in patterns)


def _covers(pattern: str, subject: str) -> bool:
    """Whether every subject that `subject` (itself maybe a pattern) takes is taken by `pattern`."""
    wanted, given = pattern.split("."), subject.split(".")
    for position, part in enumerate(wanted):
        if part == ">":
            return len(given) > position
        if position >= len(given) or given[position] == ">":
            return False
        if part != "*" and part != given[position]:
            return False
    return len(wanted) == len(given)
