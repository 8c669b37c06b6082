"""What bad links between machines and wrong clocks mean for each process.

A machine's NIC hears less of the others; a process that is not on the API server's machine reaches it over the same
links. What a process and its own machine share is not touched (services/chassis/health.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from podwire.proto.messages.process import Fault, Impairment, SetFaults, Way

MACHINES: Final = ("node", "outside")
"""Components that are machines: they have a NIC on the segment."""
_MOST_RETRANSMISSION: Final = 0.9


@dataclass(frozen=True, slots=True)
class BadDirection:
    """One direction between two machines."""

    source: str
    target: str
    impairment: Impairment


def faults_of(
    component: str,
    node: str,
    api_node: str,
    bad: Iterable[BadDirection],
    macs: Mapping[str, str],
    skew: int = 0,
) -> SetFaults:
    """The faults of one process on a machine (`node` empty: on none). `macs` are the NICs' by machine."""
    directions = list(bad)
    if component in MACHINES:
        return SetFaults(links=_heard(node, directions, macs), skew=skew)
    if not node or node == api_node:
        return SetFaults(skew=skew)
    out = [entry for entry in directions if (entry.source, entry.target) == (node, api_node)]
    back = [entry for entry in directions if (entry.source, entry.target) == (api_node, node)]
    faults = [_connection(entry.impairment, "out") for entry in out]
    return SetFaults(faults=faults + [_connection(entry.impairment, "in") for entry in back], skew=skew)


def _heard(node: str, directions: list[BadDirection], macs: Mapping[str, str]) -> dict[str, Impairment]:
    links: dict[str, Impairment] = {}
    for entry in directions:
        if entry.target == node and (mac := macs.get(entry.source)):
            links[mac] = together(links[mac], entry.impairment) if mac in links else entry.impairment
    return links


def together(one: Impairment, other: Impairment) -> Impairment:
    """Two impairments of the same direction, one behind the other."""
    rates = [rate for rate in (one.rate, other.rate) if rate]
    return Impairment(
        loss=_either(one.loss, other.loss),
        delay=one.delay + other.delay,
        jitter=one.jitter + other.jitter,
        duplicate=_either(one.duplicate, other.duplicate),
        reorder=_either(one.reorder, other.reorder),
        corrupt=_either(one.corrupt, other.corrupt),
        rate=min(rates, default=0),
        limit=min(one.limit, other.limit),
    )


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)


def _connection(impairment: Impairment, way: Way) -> Fault:
    """A TCP connection over the link: what is lost or corrupt is sent again, until nothing passes any more."""
    if impairment.loss == 1:
        return Fault(subject=">", way=way, loss=1)
    resent = min(_either(impairment.loss, impairment.corrupt), _MOST_RETRANSMISSION)
    least = max(0, impairment.delay - impairment.jitter)
    return Fault(subject=">", way=way, delay=least, jitter=2 * impairment.jitter, retransmission=resent)
