"""From the hops of one trace to the flights of its packets: one flight is one packet from sender to receiver."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from podwire.proto.messages.telemetry import Hop

_VXLAN = re.compile(r"^.*?OTV/VXLAN, flags \[I\] \(0x08\), vni \d+:?\s*")
_TCP = re.compile(r"Flags \[([^\]]*)\](?:, seq (\d+)(?::\d+)?)?(?:, ack (\d+))?")
_ENDS = re.compile(r"^IP6? (\S+) > (\S+): ")
_ICMP = re.compile(r"ICMP6?,? .*")
_CONTROL: Final = ("ARP", "neighbor solicitation", "neighbor advertisement")


@dataclass(frozen=True, slots=True)
class Flight:
    """One packet's hops in the order of its way, and what the packet was when it was sent.

    `is_reply` says that it travels towards where the first packet of the trace came from.
    """

    summary: str
    hops: tuple[Hop, ...]
    is_reply: bool = False

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


def flights(hops: Iterable[Hop]) -> list[Flight]:
    """The flights of a trace, in order of their first hop. Machines share the host's clock."""
    ordered = sorted(hops, key=lambda hop: (hop.time, hop.node, hop.sequence))
    grouped: dict[tuple[str, ...], list[Hop]] = {}
    renamed: dict[tuple[str, ...], tuple[str, ...]] = {}
    for hop in ordered:
        key = identity(hop.summary)
        if hop.kind == "nat" and key not in renamed and key not in grouped:
            before = identity(_untranslated(hop))
            renamed[key] = renamed.get(before, before)
        grouped.setdefault(renamed.get(key, key), []).append(hop)
    found = [Flight(inner(group[0].summary), tuple(group)) for group in grouped.values()]
    return [replace(flight, is_reply=_answers(flight, found[0])) for flight in found]


def _untranslated(hop: Hop) -> str:
    """The summary as it was before a translation: a port that changed is another identity."""
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
