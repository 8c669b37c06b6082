"""What is there whatever Services there are: base chains, sets, maps, and the rules that look things up in them."""

from collections.abc import Iterator
from typing import Final

from podwire.services.kube_proxy.core.nftables import names
from podwire.services.kube_proxy.core.surroundings import Surroundings

_BASE_CHAINS: Final = {
    "filter-prerouting": ("filter", "prerouting", -110),
    "filter-input": ("filter", "input", -110),
    "filter-forward": ("filter", "forward", -110),
    "filter-output": ("filter", "output", -110),
    "filter-output-post-dnat": ("filter", "output", -90),
    "nat-prerouting": ("nat", "prerouting", -100),
    "nat-output": ("nat", "output", -100),
    "nat-postrouting": ("nat", "postrouting", 100),
}
"""Type, hook and priority: what is refused is decided before DNAT, but for what no Service has."""

_JUMPS: Final = (
    ("filter-input", "ct state new", names.NODE_PORT_ENDPOINTS_CHECK),
    ("filter-input", "ct state new", names.SERVICE_ENDPOINTS_CHECK),
    ("filter-forward", "ct state new", names.SERVICE_ENDPOINTS_CHECK),
    ("filter-output", "ct state new", names.SERVICE_ENDPOINTS_CHECK),
    ("filter-prerouting", "ct state new", names.FIREWALL_CHECK),
    ("filter-output", "ct state new", names.FIREWALL_CHECK),
    ("nat-output", "", names.SERVICES),
    ("nat-prerouting", "", names.SERVICES),
    ("nat-postrouting", "", names.MASQUERADING),
    ("filter-forward", "ct state new", names.CLUSTER_IPS_CHECK),
    ("filter-output-post-dnat", "ct state new", names.CLUSTER_IPS_CHECK),
)
_CHAINS: Final = (*dict.fromkeys(target for *_, target in _JUMPS), names.MARK_MASQ)

_BY_ADDRESS: Final = {
    names.NO_ENDPOINT_SERVICES: "vmap to drop or reject packets to services with no endpoints",
    names.FIREWALL_IPS: "destinations that are subject to LoadBalancerSourceRanges",
    names.SERVICE_IPS: "ClusterIP, ExternalIP and LoadBalancer IP traffic",
}
_BY_NODE_PORT: Final = {
    names.NO_ENDPOINT_NODE_PORTS: "vmap to drop or reject packets to service nodeports with no endpoints",
    names.SERVICE_NODE_PORTS: "NodePort traffic",
}


def setup(around: Surroundings) -> Iterator[str]:
    """The commands, without the family and table after the object's kind; sets and maps of Services are emptied."""
    yield '"rules for kube-proxy"'
    for name, (kind, hook, priority) in _BASE_CHAINS.items():
        yield f"add chain {name} {{ type {kind} hook {hook} priority {priority} ; }}"
        yield f"flush chain {name}"
    for name in _CHAINS:
        yield from (f"add chain {name}", f"flush chain {name}")
    yield f'add chain {names.REJECT} {{ comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }}'
    yield f"flush chain {names.REJECT}"
    yield from _containers(around)
    for chain, match, target in _JUMPS:
        yield f"add rule {chain} {match + ' ' if match else ''}jump {target}"
    yield from (f"add rule {rule}" for rule in _rules(around))


def _containers(around: Surroundings) -> Iterator[str]:
    address = names.FAMILY_WORDS[around.family][1]
    yield f'add set {names.CLUSTER_IPS} {{ type {address} ; comment "Active ClusterIPs" ; }}'
    yield f'add set {names.NODE_PORT_IPS} {{ type {address} ; comment "IPs that accept NodePort traffic" ; }}'
    for name, comment in _BY_ADDRESS.items():
        yield f'add map {name} {{ type {address} . inet_proto . inet_service : verdict ; comment "{comment}" ; }}'
    for name, comment in _BY_NODE_PORT.items():
        yield f'add map {name} {{ type inet_proto . inet_service : verdict ; comment "{comment}" ; }}'
    yield from (f"flush set {name}" for name in (names.CLUSTER_IPS, names.NODE_PORT_IPS))
    yield from (f"flush map {name}" for name in (*_BY_ADDRESS, *_BY_NODE_PORT))
    for own in around.node_port_addresses or ():
        yield f"add element {names.NODE_PORT_IPS} {{ {own} }}"


def _rules(around: Surroundings) -> Iterator[str]:
    ip, mark = names.FAMILY_WORDS[around.family][0], around.mark
    by_address, port = f"{ip} daddr . meta l4proto . th dport vmap", "meta l4proto . th dport vmap"
    local = f"{ip} daddr @{names.NODE_PORT_IPS}" if around.node_port_addresses is not None else _any_local(around)
    yield f"{names.MARK_MASQ} mark set mark or {mark}"
    yield f"{names.MASQUERADING} mark and {mark} == 0 return"
    yield f"{names.MASQUERADING} mark set mark xor {mark}"
    yield f"{names.MASQUERADING} masquerade fully-random"
    said = "Reject traffic to invalid ports of ClusterIPs"
    yield f'{names.CLUSTER_IPS_CHECK} {ip} daddr @{names.CLUSTER_IPS} reject comment "{said}"'
    if around.service_cidrs:
        said, unallocated = "Drop traffic to unallocated ClusterIPs", ", ".join(around.service_cidrs)
        yield f'{names.CLUSTER_IPS_CHECK} {ip} daddr {{ {unallocated} }} drop comment "{said}"'
    yield f"{names.REJECT} reject"
    yield f"{names.SERVICE_ENDPOINTS_CHECK} {by_address} @{names.NO_ENDPOINT_SERVICES}"
    yield f"{names.NODE_PORT_ENDPOINTS_CHECK} {local} {port} @{names.NO_ENDPOINT_NODE_PORTS}"
    yield f"{names.FIREWALL_CHECK} {by_address} @{names.FIREWALL_IPS}"
    yield f"{names.SERVICES} {by_address} @{names.SERVICE_IPS}"
    yield f"{names.SERVICES} {local} {port} @{names.SERVICE_NODE_PORTS}"


def _any_local(around: Surroundings) -> str:
    but = "ip daddr != 127.0.0.0/8" if around.family == "ipv4" else "ip6 daddr != ::1"
    return f"fib daddr type local {but}"
