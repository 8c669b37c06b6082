"""Probes, what became of each, and the table of them: sources down, targets across."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from podwire.proto.messages.machine import Answer, Connect, Outcome, Refused, no_answer
from podwire.scripts.trace.resolve import Source

type Protocol = Literal["tcp", "udp", "sctp"]
type Verdict = Literal["reached", "refused", "no answer", "not probed"]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("tcp", "udp", "sctp")
MARKS: Final[dict[Verdict, str]] = {"reached": ".", "refused": "X", "no answer": "-", "not probed": "?"}
MEANINGS: Final[dict[Verdict, str]] = {
    "reached": "reached",
    "refused": "refused or unreachable",
    "no answer": "no answer",
    "not probed": "not probed",
}
"""The verdicts in words, as legends have them."""

NO_ADDRESS: Final = "the pod has no address yet"
_NO_MORE_RETRIES: Final = os.strerror(errno.ETIMEDOUT)
"""What tcp(7) says when it has sent its last SYN again in vain."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who probes: `namespace/pod`, a node's name, or `external`."""

    name: str
    source: Source
    has_address: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed: a port of `namespace/pod` or of `svc/namespace/name`; address "" while a pod has none."""

    name: str
    address: str
    port: int
    protocol: Protocol

    def __str__(self) -> str:
        return f"{self.name} {self.protocol}/{self.port}"


@dataclass(frozen=True, slots=True)
class Probe:
    """One source and one target."""

    origin: Origin
    target: Target

    def call(self, timeout: float) -> Connect:
        """The exchange that a machine is asked for; it waits for `timeout` seconds."""
        source, target = self.origin.source, self.target
        return Connect(
            trace="",
            namespace=source.namespace,
            pod=source.pod,
            kind=target.protocol,
            address=target.address,
            port=target.port,
            timeout=timeout,
        )

    def __str__(self) -> str:
        return f"{self.origin.name} -> {self.target}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a probe: the verdict, its reason in words, and how long it took (nanoseconds)."""

    probe: Probe
    verdict: Verdict
    reason: str
    duration: int = 0


def probes(origins: Sequence[Origin], targets: Sequence[Target]) -> list[Probe]:
    """Every source against every target, target by target."""
    return [Probe(origin, target) for target in targets for origin in origins]


def spread(origins: int, targets: int) -> list[int]:
    """In which order probes (by their index in `probes`) are made: diagonal by diagonal, so that neighbours differ in
    source and target, and no machine has all the work at once."""
    return [(row + shift) % targets * origins + row for shift in range(targets) for row in range(origins)]


def unaddressed(probe: Probe) -> Result | None:
    """The result of a probe that cannot be made because an end has no address; None for one that can."""
    if not probe.origin.has_address:
        return Result(probe, "not probed", f"{probe.origin.name}: {NO_ADDRESS}")
    if not probe.target.address:
        return Result(probe, "not probed", f"{probe.target.name}: {NO_ADDRESS}")
    return None


def judged(probe: Probe, answer: Answer, timeout: float) -> Result:
    """The result by what the machine answered. An exchange whose time ran out had no answer; another that failed was
    told something: a reset, an ICMP error, no route."""
    if not isinstance(answer, Outcome):
        said = answer.message if isinstance(answer, Refused) else "the machine did not probe"
        return Result(probe, "not probed", said)
    return Result(probe, verdict(answer, timeout), answer.text, answer.duration)


def verdict(outcome: Outcome, timeout: float) -> Verdict:
    """How an exchange that waited for so many seconds ended."""
    if outcome.success:
        return "reached"
    return "no answer" if outcome.text in (no_answer(timeout), _NO_MORE_RETRIES) else "refused"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole truth table; `results` are in the order of `probes`."""

    origins: tuple[Origin, ...]
    targets: tuple[Target, ...]
    results: tuple[Result, ...]
    seconds: float

    def marks(self, row: int) -> list[str]:
        """The marks of one source, a target each."""
        return [MARKS[result.verdict] for result in self.results[row :: len(self.origins)]]

    def tally(self) -> str:
        """How many probes had which verdict, and probes a second."""
        counts = {verdict: sum(each.verdict == verdict for each in self.results) for verdict in MARKS}
        told = ", ".join(f"{count} {MEANINGS[verdict]}" for verdict, count in counts.items() if count)
        total, rate = len(self.results), len(self.results) / max(self.seconds, 1e-9)
        return f"{total} probe{'s' * (total != 1)} in {self.seconds:.2f} s, {rate:.0f} probes/s: {told}"
