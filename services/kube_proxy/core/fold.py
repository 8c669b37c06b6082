"""The fold: Services and EndpointSlices in, changes of Service ports out. A change costs what changed."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.kube.times import moment
from podwire.proto.subjects import ObjectKey
from podwire.services.kube_proxy.core.endpoints import ADDRESS_TYPES, backends
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState, port_states

TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
"""When what changed an EndpointSlice happened: set by its controller (RFC 3339)."""

ServiceName = tuple[str, str]
"""Namespace and name."""


class Change(NamedTuple):
    """A Service port before and after; None where there is none."""

    before: ServicePortState | None
    after: ServicePortState | None

    @property
    def key(self) -> PortKey:
        """The Service port's key."""
        state = self.after or self.before
        assert state is not None, "a change is of something"
        return state.key


class Fold:
    """What one node's proxier of one family knows. What happened before it `began` (ns since the epoch) is not measured
    (pkg/proxy/endpointschangetracker.go)."""

    def __init__(self, node: str, family: Family = "ipv4", zone: str = "", began: int = 0) -> None:
        self.family: Final = family
        self.states: dict[PortKey, ServicePortState] = {}
        self._node, self._zone = node, zone
        self._services: dict[ServiceName, Service] = {}
        self._slices: dict[ServiceName, dict[str, EndpointSlice]] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._keys: dict[ServiceName, tuple[PortKey, ...]] = {}
        self._dirty: dict[ServiceName, None] = {}
        self._began = began
        self._triggers: dict[ServiceName, list[int]] = {}

    @property
    def pending(self) -> int:
        """How many Services have changed since `take`."""
        return len(self._dirty)

    def set_zone(self, zone: str) -> None:
        """The node's zone; another one concerns every Service."""
        if zone != self._zone:
            self._zone = zone
            self._dirty.update(dict.fromkeys(self._services))

    def service(self, key: ObjectKey, service: Service | None) -> None:
        """A Service changed, or (None) is gone."""
        name = key.namespace, key.name
        if service is None:
            self._services.pop(name, None)
        else:
            self._services[name] = service
        self._dirty[name] = None

    def slice(self, key: ObjectKey, given: EndpointSlice | None) -> None:
        """An EndpointSlice changed, or (None) is gone."""
        before = self._remove(key.namespace, key.name)
        if before is not None and given is None:
            self._triggers.pop((key.namespace, before.service), None)
        if given is not None and given.service:
            name = key.namespace, given.service
            self._owners[key.namespace, key.name] = given.service
            self._slices.setdefault(name, {})[key.name] = given
            self._dirty[name] = None
            self._note_trigger(name, before, given)

    def _remove(self, namespace: str, name: str) -> EndpointSlice | None:
        """Forgets a slice; what it was."""
        owner = self._owners.pop((namespace, name), "")
        if not owner:
            return None
        self._dirty[namespace, owner] = None
        return self._slices[namespace, owner].pop(name, None)

    def _note_trigger(self, name: ServiceName, before: EndpointSlice | None, given: EndpointSlice) -> None:
        """Notes since when a change was due, if it is one, of this family, and since the proxy runs."""
        same = before is not None and (before.endpoints, before.ports) == (given.endpoints, given.ports)
        due = moment((given.metadata.annotations or {}).get(TRIGGER_TIME, ""))
        if not same and given.address_type == ADDRESS_TYPES[self.family] and due is not None and due > self._began:
            self._triggers.setdefault(name, []).append(due)

    def reset(self, services: Mapping[ObjectKey, Service], slices: Mapping[ObjectKey, EndpointSlice]) -> None:
        """Everything may have changed."""
        self._dirty.update(dict.fromkeys(self._services))
        self._services = {(key.namespace, key.name): service for key, service in services.items()}
        self._dirty.update(dict.fromkeys(self._services))
        kept = {(key.namespace, key.name): None for key in slices}
        for namespace, name in [place for place in self._owners if place not in kept]:
            self._triggers.pop((namespace, self._owners[namespace, name]), None)
            self._remove(namespace, name)
        for key, given in slices.items():
            self.slice(key, given)

    def take_triggers(self) -> list[int]:
        """When what changed the EndpointSlices since the last time happened (ns since the epoch)."""
        taken, self._triggers = self._triggers, {}
        return [time for times in taken.values() for time in times]

    def take(self) -> list[Change]:
        """What has changed since the last time."""
        changes: list[Change] = []
        for name in sorted(self._dirty):
            changes += self._changes_of(name)
        self._dirty.clear()
        return changes

    def _changes_of(self, name: ServiceName) -> list[Change]:
        service = self._services.get(name)
        given = backends(self._slices.get(name, {}).values(), self._node, self.family) if service else {}
        now = {} if service is None else {s.key: s for s in port_states(service, given, self.family, self._zone)}
        keys = dict.fromkeys((*self._keys.pop(name, ()), *now))
        found = [Change(self.states.pop(key, None), now.get(key)) for key in keys]
        self.states.update(now)
        if now:
            self._keys[name] = tuple(now)
        return [change for change in found if change.before != change.after]


def service_ports(
    services: Mapping[ObjectKey, Service],
    slices: Mapping[ObjectKey, EndpointSlice],
    node: str,
    family: Family = "ipv4",
    zone: str = "",
) -> list[ServicePortState]:
    """Every port of every Service that is proxied, in order of name."""
    fold = Fold(node, family, zone)
    fold.reset(services, slices)
    fold.take()
    return [fold.states[key] for key in sorted(fold.states)]
