"""Health and faults of one process, on `process.<component>.<instance>`."""

from typing import Final

import msgspec

SCHEMA: Final = 1


class HealthRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks how a process is."""

    schema: int = SCHEMA


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Messages on subjects that match are lost with a probability, and late by `delay` plus up to `jitter` (ns)."""

    subject: str
    loss: float = 0.0
    delay: int = 0
    jitter: int = 0


class SetFaults(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Replaces the faults of a process's link; an empty list heals it. Answer: Health."""

    schema: int = SCHEMA
    faults: list[Fault] = []


Request = HealthRequest | SetFaults


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: counters and one line a fact."""

    schema: int = SCHEMA
    component: str
    instance: str
    node: str = ""
    ready: bool = True
    facts: dict[str, str] = {}


class Ended(msgspec.Struct, frozen=True):
    """The part of NATS's disconnect event that we read: which connection ended."""

    client: "EndedClient"


class EndedClient(msgspec.Struct, frozen=True):
    """The connection's name is `<component>.<instance>`."""

    name: str = ""
