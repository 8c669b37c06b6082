"""What the event log says of a workload: when each pod was Ready and began to end, when its EndpointSlices said so."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages.events import ObjectEvent
from podwire.scripts.cluster.readiness import is_ready
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.clock import SECOND

NEVER: Final = 1 << 62
CATCHES_UP: Final = 2 * SECOND
"""Within this, a component that runs again has listed everything and acted on it."""
Json = dict[str, Any]


@dataclass(slots=True)
class Life:
    """One pod; times in ns since the epoch, NEVER for what has not happened."""

    name: str
    node: str
    address: str
    ready: int = NEVER
    ending: int = NEVER
    """When its deletion was written."""
    unlisted: int = NEVER
    """When its EndpointSlice first said that it is not ready any more."""

    def is_ready_throughout(self, begin: int, end: int) -> bool:
        """Whether it was Ready, and not to be deleted, all the time."""
        return self.ready <= begin and end < self.ending


@dataclass(frozen=True, slots=True)
class Outage:
    """A component that hung and was then killed; ns since the epoch."""

    component: str
    node: str
    begun: int
    killed: int


@dataclass(frozen=True, slots=True)
class Absence:
    """When a component did not work: from its hanging until what took its place has caught up. ns since the epoch."""

    component: str
    node: str
    begin: int
    end: int


def lives(log: Iterable[Stored], namespace: str, app: str, service: str) -> dict[str, Life]:
    """The pods of one app that ever had an address, by that address (none is given twice in so short a time)."""
    found: dict[str, Life] = {}
    for key, event in _events(log):
        if key.namespace != namespace:
            continue
        value = msgspec.msgpack.decode(event.object)
        if key.resource == resources.PODS.resource and event.labels.get("app") == app:
            _note_pod(found, value, event)
        elif key.resource == resources.ENDPOINT_SLICES.resource and _service(value) == service:
            _note_slice(found, value, event.time)
    return found


def _events(log: Iterable[Stored]) -> Iterator[tuple[subjects.ObjectKey, ObjectEvent]]:
    for stored in log:
        if stored.subject.startswith("kube.events."):
            yield subjects.parse_object_events(stored.subject), codec.decode(ObjectEvent, stored.payload)


def _service(value: Json) -> str:
    return str((value["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""))


def _note_pod(found: dict[str, Life], pod: Json, event: ObjectEvent) -> None:
    address = str((pod.get("status") or {}).get("podIP") or "")
    if not address:
        return
    life = found.setdefault(address, Life(pod["metadata"]["name"], pod["spec"]["nodeName"], address))
    assert life.name == pod["metadata"]["name"], f"{address} was given twice"
    if is_ready(pod):
        life.ready = min(life.ready, event.time)
    if pod["metadata"].get("deletionTimestamp") or event.change == "DELETED":
        life.ending = min(life.ending, event.time)


def _note_slice(found: dict[str, Life], value: Json, time: int) -> None:
    ready = {
        address for each in value.get("endpoints") or [] if each["conditions"]["ready"] for address in each["addresses"]
    }
    for address, life in found.items():
        if life.ending != NEVER and address not in ready:
            life.unlisted = min(life.unlisted, time)


def absences(log: Iterable[Stored], outages: Iterable[Outage]) -> list[Absence]:
    """How long each outage lasted. A component that is a pod comes back when its kubelet starts it again, which takes
    longer each time (CrashLoopBackOff); the log says when."""
    states = list(_states(log))
    return [Absence(each.component, each.node, each.begun, _end(each, states)) for each in outages]


@dataclass(frozen=True, slots=True)
class _State:
    """A system pod's container at one time."""

    time: int
    pod: str
    node: str
    restarts: int
    is_ready: bool


def _states(log: Iterable[Stored]) -> Iterator[_State]:
    for key, event in _events(log):
        if (key.namespace, key.resource) == ("kube-system", resources.PODS.resource):
            value = msgspec.msgpack.decode(event.object)
            for status in value["status"].get("containerStatuses") or []:
                yield _State(event.time, key.name, event.node, status["restartCount"], status["ready"])


def _end(outage: Outage, states: Iterable[_State]) -> int:
    newest: dict[str, _State] = {}
    before = 0
    for state in states:
        if not state.pod.startswith(f"{outage.component}-") or outage.node not in ("", state.node):
            continue
        if state.time > outage.killed and not before:
            before = 1 + sum(each.restarts for each in newest.values())
        newest[state.pod] = state
        restarts = sum(each.restarts for each in newest.values())
        if before and restarts >= before and all(each.is_ready for each in newest.values()):
            return state.time + CATCHES_UP
    return NEVER if newest else outage.killed + CATCHES_UP
