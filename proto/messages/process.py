"""Health and faults of one process, on `process.<component>.<instance>`."""

from typing import Annotated, Final, Literal

import msgspec

SCHEMA: Final = 1


class HealthRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks how a process is."""

    schema: int = SCHEMA


Way = Literal["both", "in", "out"]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Duration = Annotated[int, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Messages on subjects that match and go this way are lost with a probability, and late by `delay` plus up to
    `jitter` (ns). `retransmission` is the probability with which a segment of the connection is lost and sent again."""

    subject: str
    way: Way = "both"
    loss: Probability = 0.0
    delay: Duration = 0
    jitter: Duration = 0
    retransmission: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0


class Impairment(msgspec.Struct, frozen=True, kw_only=True):
    """What one direction of a link does to frames, as tc-netem(8) has it: probabilities, nanoseconds, bits a second.

    A delayed frame is late by `delay` plus or minus `jitter`; a reordered one is not late at all, and every `gap`th at
    the earliest; `rate` 0 is no limit; more than `limit` frames do not wait. A correlation says how much each draw
    follows the one before.
    """

    loss: Probability = 0.0
    delay: Duration = 0
    jitter: Duration = 0
    duplicate: Probability = 0.0
    reorder: Probability = 0.0
    corrupt: Probability = 0.0
    rate: Duration = 0
    limit: Annotated[int, msgspec.Meta(ge=1)] = 1000
    gap: Annotated[int, msgspec.Meta(ge=1)] = 1
    delay_correlation: Probability = 0.0
    loss_correlation: Probability = 0.0
    duplicate_correlation: Probability = 0.0
    reorder_correlation: Probability = 0.0
    corrupt_correlation: Probability = 0.0


class SetFaults(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Replaces the faults of a process; without any it is whole. Answer: Health.

    `faults` are of its connection to the others; `links`, for a machine, of its NIC's link from the machine with this
    MAC (lower case, colons); `skew` (ns) is by how much its wall clock is wrong.
    """

    schema: int = SCHEMA
    faults: list[Fault] = []
    links: dict[str, Impairment] = {}
    skew: int = 0


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
