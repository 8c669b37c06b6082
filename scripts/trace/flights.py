"""From the hops of one trace to the flights of its packets: one flight is one packet from sender to receiver."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from podwire.proto.messages.telemetry import Hop

_VXLAN = re.compile(r"^.*?OTV/VXLAN, flags \[I\] \(0x08\), vni \d+:?\s*")
_TCP = re.compile(r"Flags \[([^\]]*)\](?:, seq (\d+)(?::\d+)?)?(?:, ack (\d+))?")
_ADDRESSES = re.compile(r"^IP (\S+) > (\S+?): ")
_ICMP = re.compile(r"ICMP .*")


@dataclass(frozen=True, slots=True)
class Flight:
    """One packet's hops in the order of its way, and what the packet was when it was sent."""

    summary: str
    hops: tuple[Hop, ...]

    @property
    def is_reply(self) -> bool:
        """Whether the packet answers the first one."""
        return "Flags [S.]" in self.summary or "echo reply" in self.summary

    @property
    def died(self) -> Hop | None:
        """The hop at which the packet was dropped."""
        return next((hop for hop in self.hops if hop.kind == "drop"), None)


def inner(summary: str) -> str:
    """A packet's own summary, also while it travels in a tunnel."""
    return _VXLAN.sub("", summary)


def identity(summary: str) -> tuple[str, ...]:
    """What stays the same of a packet while addresses are translated: its flags and numbers, or its kind."""
    text = inner(summary)
    if found := _TCP.search(text):
        return ("tcp", *(part or "" for part in found.groups()))
    if found := _ICMP.search(text):
        return ("icmp", found[0])
    addresses = _ADDRESSES.match(text)
    ports = tuple(part.rpartition(".")[2] for part in addresses.groups()) if addresses else ()
    return ("other", *ports, text.partition(": ")[2])


def flights(hops: Iterable[Hop]) -> list[Flight]:
    """The flights of a trace, in order of their first hop. Machines share the host's clock."""
    ordered = sorted(hops, key=lambda hop: (hop.time, hop.node, hop.sequence))
    grouped: dict[tuple[str, ...], list[Hop]] = {}
    for hop in ordered:
        grouped.setdefault(identity(hop.summary), []).append(hop)
    return [Flight(inner(group[0].summary), tuple(group)) for group in grouped.values()]
