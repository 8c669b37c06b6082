"""Endpoints, and which of them a Service port uses on one node (pkg/proxy/endpoint.go, topology.go)."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from podwire.proto.kube.families import host_port
from podwire.proto.kube.network import EndpointSlice
from podwire.services.kube_proxy.core.family import Family, address_of

ADDRESS_TYPES: Final[dict[Family, str]] = {"ipv4": "IPv4", "ipv6": "IPv6"}


class Endpoint(NamedTuple):
    """One backend: address and port, and what decides whether it gets traffic."""

    address: str
    port: int
    is_local: bool
    ready: bool
    serving: bool
    terminating: bool
    zones: tuple[str, ...] = ()
    """The zones that its hints name."""

    def __str__(self) -> str:
        return host_port(self.address, self.port)

    @property
    def usable(self) -> bool:
        """Whether it would get traffic, at the latest when no endpoint is ready (KEP-1669)."""
        return self.ready or (self.serving and self.terminating)


class Categories(NamedTuple):
    """The endpoints for traffic policy Cluster, and those for Local."""

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]


def categorize(endpoints: Sequence[Endpoint], zone: str, *, cluster: bool, local: bool) -> Categories:
    """What a Service port uses that sends to endpoints anywhere (`cluster`), on this node (`local`), or both.

    Ready ones, in the node's zone if hints say so; without any, those that serve while they terminate
    (CategorizeEndpoints).
    """
    near = usable(_near(endpoints, zone)) if cluster else ()
    return Categories(near, usable([entry for entry in endpoints if entry.is_local]) if local else ())


def usable(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The ready ones, or without any those that serve while they terminate."""
    known = tuple(endpoints)
    ready = tuple(entry for entry in known if entry.ready)
    return ready or tuple(entry for entry in known if entry.usable)


def _near(endpoints: Sequence[Endpoint], zone: str) -> Sequence[Endpoint]:
    """Those that hints allow: hints count only if every ready endpoint has some, and some name the node's zone."""
    ready = [entry for entry in endpoints if entry.ready]
    hinted = bool(zone) and all(entry.zones for entry in ready) and any(zone in entry.zones for entry in ready)
    return [entry for entry in ready if zone in entry.zones] if hinted else endpoints


Backends = dict[tuple[str, str], tuple[Endpoint, ...]]
"""The endpoints of one Service by port name and protocol (tcp, …)."""


def backends(slices: Iterable[EndpointSlice], node: str, family: Family) -> Backends:
    """What the slices of one Service say; an endpoint that is in several slices counts once (addEndpoints)."""
    found: dict[tuple[str, str], dict[tuple[str, int], Endpoint]] = {}
    for each in sorted(slices, key=lambda one: one.metadata.name):
        if each.address_type != ADDRESS_TYPES[family]:
            continue
        for port in each.ports or []:
            if port.port is not None:
                known = found.setdefault((port.name, port.protocol.lower()), {})
                _add(known, _endpoints(each, port.port, node, family))
    return {key: tuple(known[place] for place in sorted(known)) for key, known in found.items()}


def _add(known: dict[tuple[str, int], Endpoint], endpoints: Iterable[Endpoint]) -> None:
    for endpoint in endpoints:
        place = endpoint.address, endpoint.port
        if place not in known or endpoint.is_local:
            known[place] = endpoint


def _endpoints(given: EndpointSlice, port: int, node: str, family: Family) -> Iterable[Endpoint]:
    for entry in given.endpoints or []:
        version, address = address_of(entry.addresses[0]) if entry.addresses else ("", "")
        if version != family:
            continue
        conditions, hints = entry.conditions, entry.hints
        yield Endpoint(
            address,
            port,
            entry.node_name == node,
            conditions.is_ready,
            conditions.serving is not False,
            conditions.terminating is True,
            tuple(zone.name for zone in (hints.for_zones if hints else None) or ()),
        )
