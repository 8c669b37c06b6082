"""From the hops of one trace to the flights of its packets: one flight is one packet from sender to receiver."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec

from podwire.proto.messages.telemetry import Hop

_VXLAN = re.compile(r"^.*?OTV/VXLAN, flags \[I\] \(0x08\), vni \d+:?\s*")
_TCP = re.compile(r"Flags \[([^\]]*)\](?:, seq (\d+)(?::\d+)?)?(?:, ack (\d+))?")
_ENDS = re.compile(r"^IP6? (\S+) > (\S+): ")
_ICMP = re.compile(r"ICMP6?,? .*")
_CONTROL: Final = ("ARP", "neighbor solicitation", "neighbor advertisement")


@dataclass(frozen=True, slots=True)
class Flight:
    """One packet's hops in the order of its way, and what the packet was when it was sent.

    `is_reply` says that it travels towards where the first packet of the trace came from, `attempt` which of several
    equal packets it is (a retransmission is 2 or more).
    """

    summary: str
    hops: tuple[Hop, ...]
    is_reply: bool = False
    attempt: int = 1

    @property
    def title(self) -> str:
        """What it is in the conversation."""
        return ("reply" if self.is_reply else "request") + (f", attempt {self.attempt}" if self.attempt > 1 else "")

    @property
    def died(self) -> Hop | None:
        """The hop at which the packet was dropped."""
        return next((hop for hop in self.hops if hop.kind == "drop"), None)

    @property
    def is_control(self) -> bool:
        """Whether it asks for a neighbour's MAC or tells one."""
        return any(word in self.summary for word in _CONTROL)


def inner(summary: str) -> str:
    """A packet's own summary, also while it travels in a tunnel."""
    return _VXLAN.sub("", summary)


class Ends(NamedTuple):
    """Source and destination as a summary has them: an address, with `.port` where there is one."""

    source: str
    destination: str


def ends(summary: str) -> Ends:
    """The ends of a packet; empty where the summary does not tell."""
    found = _ENDS.match(inner(summary))
    return Ends(*found.groups()) if found else Ends("", "")


def identity(summary: str) -> tuple[str, ...]:
    """What stays the same of a packet while addresses are translated: its flags and numbers, or its kind."""
    text = inner(summary)
    if found := _TCP.search(text):
        return ("tcp", *(part or "" for part in found.groups()))
    if found := _ICMP.search(text):
        return ("icmp", found[0])
    ports = tuple(end.rpartition(".")[2] for end in ends(text) if end)
    return ("other", *ports, text.partition(": ")[2])


def by_trace(hops: Iterable[Hop]) -> dict[str, list[Hop]]:
    """The hops of each trace, in the order in which traces began."""
    found: dict[str, list[Hop]] = {}
    for hop in hops:
        found.setdefault(hop.trace, []).append(hop)
    return found


def flights(hops: Iterable[Hop]) -> list[Flight]:
    """The flights of a trace, in order of their first hop. Machines share the host's clock."""
    ordered = sorted(hops, key=lambda hop: (hop.time, hop.node, hop.sequence))
    grouped: dict[tuple[str, ...], list[Hop]] = {}
    renamed: dict[tuple[str, ...], tuple[str, ...]] = {}
    latest: dict[str, tuple[str, ...]] = {}
    for hop in ordered:
        key = identity(hop.summary)
        if hop.kind == "nat" and key not in renamed and key not in grouped:
            renamed[key] = _before(hop, renamed, grouped) or latest.get(hop.node, key)
        key = latest[hop.node] = renamed.get(key, key)
        grouped.setdefault(key, []).append(hop)
    found = [
        Flight(inner(group[0].summary), tuple(copy), attempt=number)
        for group in grouped.values()
        for number, copy in enumerate(_copies(group), 1)
    ]
    found.sort(key=lambda flight: (flight.hops[0].time, flight.hops[0].node, flight.hops[0].sequence))
    return [replace(flight, is_reply=_answers(flight, found[0])) for flight in found]


def _copies(hops: list[Hop]) -> list[list[Hop]]:
    """Equal packets apart: another begins where the first began; what follows is of the first that has not done it."""
    copies: list[list[Hop]] = []
    done: list[dict[Hop, None]] = []
    for hop in hops:
        step = msgspec.structs.replace(hop, time=0, sequence=0)
        lacking = next((index for index, steps in enumerate(done) if step not in steps), -1)
        if not copies or (lacking < 0 and step == next(iter(done[0]))):
            copies.append([])
            done.append({})
        copies[lacking].append(hop)
        done[lacking][step] = None
    return copies


def _before(
    hop: Hop, renamed: dict[tuple[str, ...], tuple[str, ...]], known: dict[tuple[str, ...], list[Hop]]
) -> tuple[str, ...] | None:
    """Which flight a translated packet is of, if its ports tell: one that changes makes another identity.

    They do not for ICMP, whose identifier SNAT may change; it is then the packet that its machine told of before.
    """
    key = identity(_untranslated(hop))
    key = renamed.get(key, key)
    return key if key in known else None


def _untranslated(hop: Hop) -> str:
    """The summary as it was before a translation."""
    before, after = _dotted(hop.before), _dotted(hop.after)
    if hop.verdict == "SNAT":
        return hop.summary.replace(f" {after} > ", f" {before} > ", 1)
    return hop.summary.replace(f" > {after}: ", f" > {before}: ", 1)


def _dotted(endpoint: str) -> str:
    """`address:port` and `[address]:port` as summaries have them."""
    if endpoint.startswith("["):
        address, _, port = endpoint[1:].partition("]:")
        return f"{address}.{port}"
    return endpoint.replace(":", ".") if endpoint.count(":") == 1 else endpoint


def _answers(flight: Flight, first: Flight) -> bool:
    """Whether a packet goes to an end that the first packet came from, under whichever name that end had there."""
    if flight is first:
        return False
    origins = [ends(hop.summary).source for hop in first.hops]
    to = ends(flight.summary).destination
    if not to:
        return False
    if _ICMP.search(flight.summary):
        return any(to in (origin, origin.rpartition(".")[0]) for origin in origins)
    return to in origins


def chosen(found: list[Flight]) -> list[Flight]:
    """The first packet, the first reply, and every packet that died."""
    replies = [flight for flight in found[1:] if flight.is_reply][:1] or found[1:2]
    dead = [flight for flight in found if flight.died is not None]
    picked = dict.fromkeys(index for index, flight in enumerate(found) if flight in (*found[:1], *replies, *dead))
    return [found[index] for index in picked]
