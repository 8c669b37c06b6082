"""Flights as a sequence diagram: who takes part, and what happens between and at them. How it looks is svg.py's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.advice import advice
from podwire.scripts.trace.deciding import deciding
from podwire.scripts.trace.flights import Flight, ends, inner

type Tone = Literal["translation", "tunnel", "drop", "end"]
type Place = tuple[str, str]
"""Machine and namespace ("": its own)."""
_CHAINS: Final = ("rule", "policy")


@dataclass(frozen=True, slots=True)
class Participant:
    """A namespace: a pod's, or a machine's own."""

    node: str
    netns: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A packet begins."""

    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A packet goes from one participant to another; `label` has its ends there, `detail` devices and time."""

    source: int
    target: int
    label: str
    detail: tuple[str, ...]
    in_tunnel: bool


@dataclass(frozen=True, slots=True)
class Note:
    """Something happens to the packet at a participant."""

    at: int
    lines: tuple[str, ...]
    tone: Tone


type Step = Heading | Arrow | Note


@dataclass(frozen=True, slots=True)
class Diagram:
    """A whole diagram, from top to bottom."""

    title: str
    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]
    outcome: str = ""


def diagram(title: str, found: Sequence[Flight], outcome: str = "") -> Diagram:
    """The diagram of flights, in their order."""
    places = list(dict.fromkeys((hop.node, hop.netns) for flight in found for hop in flight.hops))
    steps: list[Step] = []
    for flight in found:
        steps.append(Heading(flight.title, flight.summary))
        steps += _steps(flight, places)
    return Diagram(title, tuple(Participant(*place) for place in places), tuple(steps), outcome)


def _steps(flight: Flight, places: list[Place]) -> Iterator[Step]:
    hops = deciding(flight.hops)
    began = hops[0].time
    for index, hop in enumerate(hops):
        at = places.index((hop.node, hop.netns))
        before = hops[index - 1] if index else hop
        came_from = places.index((before.node, before.netns))
        if at != came_from:
            yield _arrow(before, hop, came_from, at, began)
        note = _note(hop, at, hops[:index])
        if note is not None:
            yield note


def _arrow(before: Hop, hop: Hop, source: int, target: int, began: int) -> Arrow:
    in_tunnel = inner(hop.summary) != hop.summary
    devices = " → ".join(device for device in (before.device, hop.device) if device)
    passed = f"{devices}  {_time(hop.time - began)}".strip()
    detail = (passed, f"VXLAN {' → '.join(ends_of_outer(hop.summary))}") if in_tunnel else (passed,)
    label = " → ".join(_endpoint(end) for end in ends(hop.summary) if end) or inner(hop.summary)
    return Arrow(source, target, label, detail, in_tunnel)


def _endpoint(text: str) -> str:
    """`address:port` of tcpdump's `address.port`."""
    address, _, port = text.rpartition(".")
    if ":" in address:
        return f"[{address}]:{port}"
    return f"{address}:{port}" if text.count(".") == 4 else text


def ends_of_outer(summary: str) -> tuple[str, str]:
    """The addresses of the outer packet, without ports."""
    source, _, rest = summary.partition(" > ")
    destination = rest.partition(": ")[0]
    return source.rpartition(" ")[2].rpartition(".")[0], destination.rpartition(".")[0]


def _time(nanoseconds: int) -> str:
    return f"+{nanoseconds / 1e6:.1f} ms" if nanoseconds >= 1_000_000 else f"+{nanoseconds / 1000:.0f} µs"


def _note(hop: Hop, at: int, before: Sequence[Hop]) -> Note | None:
    match hop.kind:
        case "nat":
            table, chains = _chains(before)
            changed = f"{hop.before} → {hop.after}"
            return Note(at, (f"{hop.verdict} ({table or hop.table})", changed, *chains), "translation")
        case "encapsulate":
            outer = f"{hop.outer_source} → {hop.outer_destination}"
            return Note(at, (f"{hop.device}: VXLAN vni {hop.vni}, +{hop.bytes_added} bytes", outer), "tunnel")
        case "decapsulate":
            removed = f", -{abs(hop.bytes_added)} bytes" if hop.bytes_added else ""
            return Note(at, (f"{hop.device}: VXLAN vni {hop.vni}{removed}",), "tunnel")
        case "drop":
            where = f" at {hop.device}" if hop.device else ""
            told = dict.fromkeys(line for line in (hop.rule_text or hop.detail, advice(hop)) if line)
            return Note(at, (f"dropped{where}: {hop.reason}", *told), "drop")
        case "socket":
            return Note(at, (f"socket: {hop.detail}",), "end")
    return None


def _chains(before: Sequence[Hop]) -> tuple[str, list[str]]:
    """The table whose rule translates, and the chains through which it was reached; nothing if none was asked."""
    table = before[-1].table if before and before[-1].kind == "rule" else ""
    chains: list[str] = []
    for hop in reversed(before):
        if hop.kind not in _CHAINS or hop.table != table:
            break
        chains.insert(0, hop.chain)
    return table, list(dict.fromkeys(chains))
