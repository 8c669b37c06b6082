"""What one Service port has in ipvs mode: virtual services, elements of sets, addresses of kube-ipvs0."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.services.kube_proxy.core.family import contains
from podwire.services.kube_proxy.core.ipvs import sets
from podwire.services.kube_proxy.core.ports import ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings


class Frontend(NamedTuple):
    """What a virtual service is found by."""

    protocol: str
    address: str
    port: int


Server = tuple[str, int]
"""Address and port of a real server."""


class Virtual(NamedTuple):
    """A virtual service: seconds that clients stay (0: none do), and its servers."""

    persistent: int
    servers: tuple[Server, ...]


class Member(NamedTuple):
    """An element of a set."""

    set: str
    element: str


@dataclass(frozen=True, slots=True)
class Block:
    """`bound` are addresses for kube-ipvs0; `unreachable` load balancers that the node itself may not reach."""

    virtual: dict[Frontend, Virtual]
    members: dict[Member, bool]
    bound: dict[str, bool]
    unreachable: dict[Frontend, bool]


EMPTY: Final = Block({}, {}, {}, {})


def block(state: ServicePortState, around: Surroundings, node_addresses: Sequence[str]) -> Block:
    """All of one Service port, on a node with these addresses beside those of kube-ipvs0."""
    fenced = state.is_fenced and not any(contains(prefix, around.node_ip) for prefix in state.source_ranges)
    return Block(
        dict(_virtual(state, node_addresses)),
        dict.fromkeys(_members(state, around, node_addresses), True),
        dict.fromkeys((address for address in _addresses(state) if address not in node_addresses), True),
        {Frontend(state.protocol, address, state.port): True for address in state.load_balancer_ips if fenced},
    )


def _addresses(state: ServicePortState) -> tuple[str, ...]:
    return (state.cluster_ip, *state.external_ips, *state.load_balancer_ips)


def _virtual(state: ServicePortState, node_addresses: Sequence[str]) -> Iterator[tuple[Frontend, Virtual]]:
    yield Frontend(state.protocol, state.cluster_ip, state.port), _served(state, state.internal_local)
    external = _served(state, state.external_local)
    for address in (*state.external_ips, *state.load_balancer_ips):
        yield Frontend(state.protocol, address, state.port), external
    if state.node_port:
        for address in node_addresses:
            yield Frontend(state.protocol, address, state.node_port), external


def _served(state: ServicePortState, local: bool) -> Virtual:
    """Without a local endpoint traffic goes to others: pods of the node still reach the Service (PR 97081)."""
    chosen = (local and state.local_endpoints) or state.cluster_endpoints
    return Virtual(state.affinity_seconds, tuple((backend.address, backend.port) for backend in chosen))


def _members(state: ServicePortState, around: Surroundings, node_addresses: Sequence[str]) -> Iterator[Member]:
    for backend in state.endpoints:
        if backend.is_local:
            own = f"{backend.address},{state.protocol}:{backend.port},{backend.address}"
            yield Member(sets.LOOP_BACK, own)
    yield Member(sets.CLUSTER_IP, _place(state, state.cluster_ip))
    for address in state.external_ips:
        yield Member(sets.EXTERNAL_IP_LOCAL if state.external_local else sets.EXTERNAL_IP, _place(state, address))
    for address in state.load_balancer_ips:
        yield from _balancer_members(state, around, address)
    if state.node_port and node_addresses:
        yield from _node_port_members(state, node_addresses)
    if state.health_check_node_port:
        yield Member(sets.HEALTH_CHECK, str(state.health_check_node_port))


def _place(state: ServicePortState, address: str) -> str:
    return f"{address},{state.protocol}:{state.port}"


def _balancer_members(state: ServicePortState, around: Surroundings, address: str) -> Iterator[Member]:
    place = _place(state, address)
    yield Member(sets.LOAD_BALANCER, place)
    if state.external_local:
        yield Member(sets.LOAD_BALANCER_LOCAL, place)
    if state.source_ranges:
        yield Member(sets.LOAD_BALANCER_FW, place)
        yield from (Member(sets.SOURCE_CIDR, f"{place},{prefix}") for prefix in state.source_ranges)
        if any(contains(prefix, around.node_ip) for prefix in state.source_ranges):
            yield Member(sets.SOURCE_IP, f"{place},{address}")


def _node_port_members(state: ServicePortState, node_addresses: Sequence[str]) -> Iterator[Member]:
    """A bitmap of ports, but for SCTP, whose set is of addresses and ports."""
    elements = [str(state.node_port)]
    if state.protocol == "sctp":
        elements = [f"{address},sctp:{state.node_port}" for address in node_addresses]
    for element in elements:
        yield Member(sets.NODE_PORT[state.protocol], element)
        if state.external_local:
            yield Member(sets.NODE_PORT_LOCAL[state.protocol], element)
