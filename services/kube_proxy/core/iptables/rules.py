"""The rules of one Service port: upstream's chains, rules and order (v1.33, syncProxyRules)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.family import contains
from podwire.services.kube_proxy.core.iptables import chains
from podwire.services.kube_proxy.core.ports import ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings

LARGE_CLUSTER: Final = 1000
"""Beyond so many endpoints rules that are there once an endpoint go without comments."""

Rules = tuple[str, ...]
Place = tuple[str, str]
"""Table and chain."""


@dataclass(frozen=True, slots=True)
class Block:
    """One Service port's share of the chains that all share, and the nat chains of its own."""

    shared: dict[Place, Rules]
    own: dict[str, Rules]


EMPTY: Final = Block({}, {})


def block(state: ServicePortState, around: Surroundings, *, large: bool = False) -> Block:
    """The rules of one Service port; `large`: with as few comments as in a large cluster."""
    shared: dict[Place, list[str]] = {}
    for place, rule in (*_filter_rules(state), *_captures(state)):
        shared.setdefault(place, []).append(f"-A {place[1]} {rule}")
    own = {chain: tuple(f"-A {chain} {rule}" for rule in found) for chain, found in _own(state, around, large)}
    return Block({place: tuple(found) for place, found in shared.items()}, own)


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


def _match(state: ServicePortState, address: str, port: int) -> str:
    return f"-m {state.protocol} -p {state.protocol} -d {address} --dport {port}"


# -- filter: what is refused, and what health checks may reach


def _filter_rules(state: ServicePortState) -> Iterator[tuple[Place, str]]:
    if not state.has_internal_endpoints:
        reason, verdict = _refusal(state)
        match = _match(state, state.cluster_ip, state.port)
        yield ("filter", chains.SERVICES), f"{_comment(reason)} {match} -j {verdict}"
    if state.is_external and not state.has_external_endpoints:
        reason, verdict = _refusal(state)
        for match in _external_matches(state):
            yield ("filter", chains.EXTERNAL_SERVICES), f"{_comment(reason)} {match} -j {verdict}"
    if state.has_endpoints and state.is_fenced:
        said = _comment(f"{state.name} traffic not accepted by {chains.firewall(*state.key)}")
        for address in state.load_balancer_ips:
            yield ("filter", chains.PROXY_FIREWALL), f"{said} {_match(state, address, state.port)} -j DROP"
    if state.health_check_node_port:
        said = _comment(f"{state.name} health check node port")
        yield ("filter", chains.NODE_PORTS), f"{said} -m tcp -p tcp --dport {state.health_check_node_port} -j ACCEPT"


def _refusal(state: ServicePortState) -> tuple[str, str]:
    """Why, and with which verdict: without any endpoint the client is told, without a local one it is not."""
    if state.has_endpoints:
        return f"{state.name} has no local endpoints", "DROP"
    return f"{state.name} has no endpoints", "REJECT"


def _external_matches(state: ServicePortState) -> Iterator[str]:
    for address in (*state.external_ips, *state.load_balancer_ips):
        yield _match(state, address, state.port)
    if state.node_port:
        protocol = state.protocol
        yield f"-m addrtype --dst-type LOCAL -m {protocol} -p {protocol} --dport {state.node_port}"


# -- nat: which of our chains a packet goes to


def _captures(state: ServicePortState) -> Iterator[tuple[Place, str]]:
    services, protocol = ("nat", chains.SERVICES), state.protocol
    if state.has_internal_endpoints:
        match = _match(state, state.cluster_ip, state.port)
        yield services, f"{_comment(f'{state.name} cluster IP')} {match} -j {_internal_policy(state)}"
    if not state.has_endpoints:
        return
    target = chains.external(*state.key)
    for address in state.external_ips:
        said = _comment(f"{state.name} external IP")
        yield services, f"{said} {_match(state, address, state.port)} -j {target}"
    fence = chains.firewall(*state.key) if state.is_fenced else target
    for address in state.load_balancer_ips:
        said = _comment(f"{state.name} loadbalancer IP")
        yield services, f"{said} {_match(state, address, state.port)} -j {fence}"
    if state.node_port:
        match = f"-m {protocol} -p {protocol} --dport {state.node_port}"
        yield ("nat", chains.NODE_PORTS), f"{_comment(str(state.name))} {match} -j {target}"


def _internal_policy(state: ServicePortState) -> str:
    pick = chains.local_policy if state.internal_local else chains.cluster_policy
    return pick(*state.key)


# -- nat: the Service port's own chains


def _own(state: ServicePortState, around: Surroundings, large: bool) -> Iterator[tuple[str, list[str]]]:
    if not state.has_endpoints:
        return
    if state.is_external:
        yield chains.external(*state.key), list(_external_chain(state, around))
    if state.is_fenced:
        yield chains.firewall(*state.key), list(_firewall_chain(state, around))
    for chain, endpoints in _policies(state):
        entry = list(_masquerade(state, around)) if chain == _internal_policy(state) else []
        yield chain, [*entry, *_balance(state, endpoints, large)]
    for backend in state.reachable_endpoints:
        yield chains.endpoint(*state.key, backend), list(_endpoint_chain(state, backend, large))


def _policies(state: ServicePortState) -> Iterator[tuple[str, Sequence[Endpoint]]]:
    if state.uses_cluster_endpoints and state.cluster_endpoints:
        yield chains.cluster_policy(*state.key), state.cluster_endpoints
    if state.uses_local_endpoints and state.local_endpoints:
        yield chains.local_policy(*state.key), state.local_endpoints


def _masquerade(state: ServicePortState, around: Surroundings) -> Iterator[str]:
    """What comes to the cluster IP from outside the pod network may leave the node again."""
    if around.masquerade_all or around.cluster_cidr:
        outside = "" if around.masquerade_all else f" ! -s {around.cluster_cidr}"
        match = _match(state, state.cluster_ip, state.port)
        yield f"{_comment(f'{state.name} cluster IP')} {match}{outside} -j {chains.MARK_MASQ}"


def _external_chain(state: ServicePortState, around: Surroundings) -> Iterator[str]:
    """Policy Local keeps the client's address, but what this node sends itself is served from anywhere."""
    destinations, cluster = f"{state.name} external destinations", chains.cluster_policy(*state.key)
    if not state.external_local:
        yield f"{_comment(f'masquerade traffic for {destinations}')} -j {chains.MARK_MASQ}"
    elif state.cluster_endpoints:
        if around.cluster_cidr:
            yield f"{_comment(f'pod traffic for {destinations}')} -s {around.cluster_cidr} -j {cluster}"
        local = "-m addrtype --src-type LOCAL"
        yield f"{_comment(f'masquerade LOCAL traffic for {destinations}')} {local} -j {chains.MARK_MASQ}"
        yield f"{_comment(f'route LOCAL traffic for {destinations}')} {local} -j {cluster}"
    if state.has_external_endpoints:
        yield f"-j {chains.local_policy(*state.key) if state.external_local else cluster}"


def _firewall_chain(state: ServicePortState, around: Surroundings) -> Iterator[str]:
    """Allowed sources go on; what reaches the end is not translated, so KUBE-PROXY-FIREWALL drops it.

    A node that may is reached by its load balancer's address too: what it sends there comes from that address.
    """
    said, target = _comment(f"{state.name} loadbalancer IP"), chains.external(*state.key)
    sources = list(state.source_ranges)
    if any(contains(prefix, around.node_ip) for prefix in state.source_ranges):
        sources += state.load_balancer_ips
    for source in sources:
        yield f"{said} -s {source} -j {target}"
    yield _comment(f"other traffic to {state.name} will be dropped by KUBE-PROXY-FIREWALL")


def _balance(state: ServicePortState, endpoints: Sequence[Endpoint], large: bool) -> Iterator[str]:
    """First the endpoint that a client had within the timeout, then one at random."""
    names = [chains.endpoint(*state.key, backend) for backend in endpoints]
    said = ["" if large else _comment(f"{state.name} -> {backend}") + " " for backend in endpoints]
    if state.affinity_seconds:
        for comment, chain in zip(said, names, strict=True):
            recent = f"-m recent --name {chain} --rcheck --seconds {state.affinity_seconds} --reap"
            yield f"{comment}{recent} -j {chain}"
    for position, (comment, chain) in enumerate(zip(said, names, strict=True)):
        left = len(endpoints) - position
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        yield f"{comment}{chance}-j {chain}"


def _endpoint_chain(state: ServicePortState, backend: Endpoint, large: bool) -> Iterator[str]:
    said = "" if large else _comment(str(state.name)) + " "
    protocol = state.protocol
    yield f"{said}-s {backend.address} -j {chains.MARK_MASQ}"
    remember = f"-m recent --name {chains.endpoint(*state.key, backend)} --set " if state.affinity_seconds else ""
    yield f"{said}{remember}-m {protocol} -p {protocol} -j DNAT --to-destination {backend}"
