"""What became of each request and why, computed from its trace and from what the event log says of the pods."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from podwire.proto.messages.telemetry import Hop
from podwire.services.chassis.clock import MILLISECOND, SECOND

from .history import Absence, Life
from .load import Request

RULES_WITHIN: Final = SECOND + 200 * MILLISECOND
"""kube-proxy's minSyncPeriod, and the time that a sync takes: so late may rules be while it works."""
SLICE_WITHIN: Final = 200 * MILLISECOND
"""So late may an EndpointSlice be while its controller works."""


class Kind(StrEnum):
    """What can become of a request."""

    ANSWERED = "answered"
    NAME_AGAIN = "answered, after its name was asked for again"
    NAME = "no name server answered"
    CUT = "its pod ended while it was at work"
    SLICE = "sent to a pod that was ending: the EndpointSlice did not say so yet"
    RULES = "sent to a pod that was ending: the node's rules did not say so yet"
    LOST = "sent to a pod that was Ready all the time, or to none"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one request. `excused` says whether what the components did or did not do is reason enough."""

    request: Request
    kind: Kind
    excused: bool


class Court:
    """Knows the pods (by address) and when which component did not work. `lateness` (ns) is how much longer everything
    may take on a machine that has other things to do."""

    def __init__(self, lives: dict[str, Life], absences: Iterable[Absence], lateness: int = 0) -> None:
        self._lives, self._absences, self._lateness = lives, list(absences), lateness

    def judge(self, request: Request) -> Fate:
        """The fate of one request."""
        kind = self._kind(request)
        return Fate(request, kind, self._is_excused(request, kind))

    def _kind(self, request: Request) -> Kind:
        if request.is_answered:
            return Kind.NAME_AGAIN if request.lookup > 1 else Kind.ANSWERED
        if not request.destination:
            return Kind.NAME
        life = self._life(request)
        if life is None or life.is_ready_throughout(request.sent, request.ended):
            return Kind.LOST
        if _has_begun(request, life):
            return Kind.CUT
        return Kind.SLICE if request.sent < life.unlisted else Kind.RULES

    def _life(self, request: Request) -> Life | None:
        chosen = translation(request.hops)
        return self._lives.get(chosen.after.rpartition(":")[0]) if chosen is not None else None

    def _is_excused(self, request: Request, kind: Kind) -> bool:
        if kind in (Kind.NAME, Kind.NAME_AGAIN):
            return self._was_away("coredns", "", request.begun, request.sent)
        if kind in (Kind.ANSWERED, Kind.LOST):
            return kind is Kind.ANSWERED
        life, chosen = self._life(request), translation(request.hops)
        assert life is not None and chosen is not None
        if kind is Kind.CUT:
            return life.ending <= request.ended
        if kind is Kind.SLICE:
            late = request.sent - life.ending
            return 0 <= late < SLICE_WITHIN + self._lateness or self._was_away(
                "controllers", "", life.ending, request.sent
            )
        late = request.sent - life.unlisted
        return late < RULES_WITHIN + self._lateness or self._was_away(
            "kube-proxy", chosen.node, life.unlisted, request.sent
        )

    def _was_away(self, component: str, node: str, begin: int, end: int) -> bool:
        return any(
            each.component == component and node in ("", each.node) and each.begin <= end and begin <= each.end
            for each in self._absences
        )


def translation(hops: Iterable[Hop]) -> Hop | None:
    """Where a Service's address became an endpoint's."""
    return next((hop for hop in hops if hop.kind == "nat" and hop.verdict == "DNAT"), None)


def _has_begun(request: Request, life: Life) -> bool:
    """Whether the pod had the connection."""
    return any(hop.kind == "socket" and hop.netns.endswith(f"/{life.name}") for hop in request.hops)
