"""What one Service port has in the table: chains of its own, affinity sets, elements of the shared sets and maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.family import contains
from podwire.services.kube_proxy.core.nftables import names
from podwire.services.kube_proxy.core.ports import ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings


class Place(NamedTuple):
    """A set or map, and a key in it."""

    container: str
    key: str


class Value(NamedTuple):
    """What an element says: its verdict ("" in a set) and its comment."""

    verdict: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """`sets` are affinity sets with the seconds that clients stay."""

    chains: dict[str, tuple[str, ...]]
    sets: dict[str, int]
    elements: dict[Place, Value]


EMPTY: Final = Block({}, {}, {})


def block(state: ServicePortState, around: Surroundings) -> Block:
    """All of one Service port."""
    own = {chain: tuple(rules) for chain, rules in _chains(state, around)}
    sets = {names.affinity(*state.key, backend): state.affinity_seconds for backend in state.reachable_endpoints}
    return Block(own, sets if state.affinity_seconds else {}, dict(_elements(state)))


# -- elements: which chain a packet goes to, or how it is refused


def _key(state: ServicePortState, address: str) -> str:
    return f"{address} . {state.protocol} . {state.port}"


def _elements(state: ServicePortState) -> Iterator[tuple[Place, Value]]:
    yield Place(names.CLUSTER_IPS, state.cluster_ip), Value("")
    own = _key(state, state.cluster_ip)
    if state.has_internal_endpoints:
        yield Place(names.SERVICE_IPS, own), Value(f"goto {_internal_policy(state)}")
    else:
        yield Place(names.NO_ENDPOINT_SERVICES, own), _refusal(state)
    for address in (*state.external_ips, *state.load_balancer_ips):
        yield from _external(state, names.SERVICE_IPS, names.NO_ENDPOINT_SERVICES, _key(state, address))
    if state.is_fenced:
        for address in state.load_balancer_ips:
            fence = Value(f"goto {names.firewall(*state.key)}", str(state.name))
            yield Place(names.FIREWALL_IPS, _key(state, address)), fence
    if state.node_port:
        key = f"{state.protocol} . {state.node_port}"
        yield from _external(state, names.SERVICE_NODE_PORTS, names.NO_ENDPOINT_NODE_PORTS, key)


def _external(state: ServicePortState, served: str, refused: str, key: str) -> Iterator[tuple[Place, Value]]:
    """Without local endpoints both: the chain serves what this node sends, the rest is dropped."""
    if state.has_endpoints:
        yield Place(served, key), Value(f"goto {names.external(*state.key)}")
    if not state.has_external_endpoints:
        yield Place(refused, key), _refusal(state)


def _refusal(state: ServicePortState) -> Value:
    return Value("drop" if state.has_endpoints else f"goto {names.REJECT}", str(state.name))


# -- chains


def _chains(state: ServicePortState, around: Surroundings) -> Iterator[tuple[str, Iterator[str]]]:
    if state.is_fenced:
        yield names.firewall(*state.key), _firewall_chain(state, around)
    if not state.has_endpoints:
        return
    for chain, endpoints in _policies(state):
        yield chain, _policy_chain(state, around, chain, endpoints)
    if state.is_external:
        yield names.external(*state.key), _external_chain(state, around)
    for backend in state.reachable_endpoints:
        yield names.endpoint(*state.key, backend), _endpoint_chain(state, around, backend)


def _internal_policy(state: ServicePortState) -> str:
    return (names.local_policy if state.internal_local else names.cluster_policy)(*state.key)


def _policies(state: ServicePortState) -> Iterator[tuple[str, Sequence[Endpoint]]]:
    if state.uses_cluster_endpoints and state.cluster_endpoints:
        yield names.cluster_policy(*state.key), state.cluster_endpoints
    if state.uses_local_endpoints and state.local_endpoints:
        yield names.local_policy(*state.key), state.local_endpoints


def _ip(around: Surroundings) -> str:
    return names.FAMILY_WORDS[around.family][0]


def _firewall_chain(state: ServicePortState, around: Surroundings) -> Iterator[str]:
    """A node that may is reached by its load balancer's address too: what it sends there comes from that address."""
    sources = list(state.source_ranges)
    if any(contains(prefix, around.node_ip) for prefix in state.source_ranges):
        sources += state.load_balancer_ips
    yield f"{_ip(around)} saddr != {{ {', '.join(sources)} }} drop"


def _policy_chain(
    state: ServicePortState, around: Surroundings, chain: str, endpoints: Sequence[Endpoint]
) -> Iterator[str]:
    ip = _ip(around)
    if chain == _internal_policy(state) and (around.masquerade_all or around.cluster_cidr):
        outside = "" if around.masquerade_all else f"{ip} saddr != {around.cluster_cidr} "
        yield f"{ip} daddr {state.cluster_ip} {state.protocol} dport {state.port} {outside}jump {names.MARK_MASQ}"
    targets = [names.endpoint(*state.key, backend) for backend in endpoints]
    if state.affinity_seconds:
        for backend, target in zip(endpoints, targets, strict=True):
            yield f"{ip} saddr @{names.affinity(*state.key, backend)} goto {target}"
    choices = " , ".join(f"{number} : goto {target}" for number, target in enumerate(targets))
    yield f"numgen random mod {len(targets)} vmap {{ {choices} }}"


def _external_chain(state: ServicePortState, around: Surroundings) -> Iterator[str]:
    cluster, local = names.cluster_policy(*state.key), "fib saddr type local"
    if not state.external_local:
        yield f"jump {names.MARK_MASQ}"
    else:
        if around.cluster_cidr:
            pods = f"{_ip(around)} saddr {around.cluster_cidr}"
            yield f'{pods} goto {cluster} comment "short-circuit pod traffic"'
        yield f'{local} jump {names.MARK_MASQ} comment "masquerade local traffic"'
        yield f'{local} goto {cluster} comment "short-circuit local traffic"'
    if state.has_external_endpoints:
        yield f"goto {names.local_policy(*state.key) if state.external_local else cluster}"


def _endpoint_chain(state: ServicePortState, around: Surroundings, backend: Endpoint) -> Iterator[str]:
    ip = _ip(around)
    yield f"{ip} saddr {backend.address} jump {names.MARK_MASQ}"
    if state.affinity_seconds:
        yield f"update @{names.affinity(*state.key, backend)} {{ {ip} saddr }}"
    yield f"meta l4proto {state.protocol} dnat to {backend}"
