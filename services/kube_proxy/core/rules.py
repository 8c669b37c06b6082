"""iptables-restore text for a set of service ports: upstream's chains, rules and order (v1.33).

One text holds the whole of kube-proxy's part of `filter` and `nat`; it is applied with --noflush, so chains that are
named in it are replaced and all others stay. Chains of ours that are no longer needed are emptied and deleted in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from podwire.services.kube_proxy.core import chains
from podwire.services.kube_proxy.core.ports import Endpoint, ServicePortState

MASQUERADE_MARK: Final = "0x4000"
_FILTER_CHAINS: Final = (
    chains.NODE_PORTS,
    chains.SERVICES,
    chains.EXTERNAL_SERVICES,
    chains.FORWARD,
    chains.PROXY_FIREWALL,
    chains.FIREWALL,
)
_NAT_CHAINS: Final = (chains.NODE_PORTS, chains.SERVICES, chains.MARK_MASQ, chains.POSTROUTING)

JUMPS: Final = (
    ("filter", "INPUT", chains.EXTERNAL_SERVICES, "kubernetes externally-visible service portals", True),
    ("filter", "FORWARD", chains.EXTERNAL_SERVICES, "kubernetes externally-visible service portals", True),
    ("filter", "INPUT", chains.NODE_PORTS, "kubernetes health check service ports", False),
    ("filter", "FORWARD", chains.SERVICES, "kubernetes service portals", True),
    ("filter", "OUTPUT", chains.SERVICES, "kubernetes service portals", True),
    ("filter", "FORWARD", chains.FORWARD, "kubernetes forwarding rules", False),
    ("filter", "INPUT", chains.PROXY_FIREWALL, "kubernetes load balancer firewall", True),
    ("filter", "OUTPUT", chains.PROXY_FIREWALL, "kubernetes load balancer firewall", True),
    ("filter", "FORWARD", chains.PROXY_FIREWALL, "kubernetes load balancer firewall", True),
    ("filter", "INPUT", chains.FIREWALL, "", False),
    ("filter", "OUTPUT", chains.FIREWALL, "", False),
    ("nat", "OUTPUT", chains.SERVICES, "kubernetes service portals", False),
    ("nat", "PREROUTING", chains.SERVICES, "kubernetes service portals", False),
    ("nat", "POSTROUTING", chains.POSTROUTING, "kubernetes postrouting rules", False),
)
"""Where the kernel's chains jump into ours: table, chain, target, comment, only for new connections."""

_BASE_FILTER: Final = (
    f'-A {chains.FIREWALL} -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8'
    " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    f"-A {chains.FORWARD} -m conntrack --ctstate INVALID -j DROP",
    f'-A {chains.FORWARD} -m comment --comment "kubernetes forwarding rules"'
    f" -m mark --mark {MASQUERADE_MARK}/{MASQUERADE_MARK} -j ACCEPT",
    f'-A {chains.FORWARD} -m comment --comment "kubernetes forwarding conntrack rule"'
    " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
)
_BASE_NAT: Final = (
    f"-A {chains.POSTROUTING} -m mark ! --mark {MASQUERADE_MARK}/{MASQUERADE_MARK} -j RETURN",
    f"-A {chains.POSTROUTING} -j MARK --xor-mark {MASQUERADE_MARK}",
    f'-A {chains.POSTROUTING} -m comment --comment "kubernetes service traffic requiring SNAT"'
    " -j MASQUERADE --random-fully",
    f"-A {chains.MARK_MASQ} -j MARK --or-mark {MASQUERADE_MARK}",
)
_NODE_PORTS_JUMP: Final = (
    f"-A {chains.SERVICES} -m comment --comment"
    ' "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    f" -m addrtype --dst-type LOCAL -j {chains.NODE_PORTS}"
)


def restore_text(states: Sequence[ServicePortState], cluster_cidr: str, present: Iterable[str]) -> str:
    """The whole text. `present` are the chains that the kernel's nat table has now; ours among them that are stale
    are deleted."""
    filters = [rule for state in states for rule in _filter_rules(state)]
    rules = [rule for state in states for rule in _nat_rules(state, cluster_cidr)]
    needed = list(dict.fromkeys(chain for state in states for chain in _needed_chains(state)))
    wanted = dict.fromkeys(needed)
    stale = sorted(name for name in present if name.startswith(chains.OWNED_PREFIXES) and name not in wanted)
    lines = ["*filter", *_declare(_FILTER_CHAINS), *filters, *_BASE_FILTER, "COMMIT"]
    lines += ["*nat", *_declare((*_NAT_CHAINS, *needed, *stale)), *_BASE_NAT, *rules, _NODE_PORTS_JUMP]
    lines += [*(f"-X {name}" for name in stale), "COMMIT"]
    return "\n".join(lines) + "\n"


def _declare(names: Iterable[str]) -> Iterator[str]:
    return (f":{name} - [0:0]" for name in names)


def _used_endpoints(state: ServicePortState) -> list[Endpoint]:
    used = list(state.cluster_endpoints) if state.uses_cluster_endpoints else []
    if state.uses_local_endpoints:
        used += [entry for entry in state.local_endpoints if entry not in used]
    return used


def _needed_chains(state: ServicePortState) -> Iterator[str]:
    if not state.has_endpoints:
        return
    if state.uses_cluster_endpoints and state.cluster_endpoints:
        yield chains.cluster_policy(state.name, state.protocol)
    if state.uses_local_endpoints and state.local_endpoints:
        yield chains.local_policy(state.name, state.protocol)
    if state.is_external:
        yield chains.external(state.name, state.protocol)
    for entry in _used_endpoints(state):
        yield chains.endpoint(state.name, state.protocol, entry)


# -- filter: what is refused


def _match(state: ServicePortState, address: str, port: int) -> str:
    return f"-m {state.protocol} -p {state.protocol} -d {address} --dport {port}"


def _filter_rules(state: ServicePortState) -> Iterator[str]:
    reason, verdict = _internal_refusal(state)
    if verdict:
        comment = f'-m comment --comment "{state.name} {reason}"'
        yield f"-A {chains.SERVICES} {comment} {_match(state, state.cluster_ip, state.port)} -j {verdict}"
    reason, verdict = _external_refusal(state)
    if not verdict:
        return
    comment = f'-m comment --comment "{state.name} {reason}"'
    for address in (*state.external_ips, *state.load_balancer_ips):
        yield f"-A {chains.EXTERNAL_SERVICES} {comment} {_match(state, address, state.port)} -j {verdict}"
    if state.node_port:
        yield (
            f"-A {chains.EXTERNAL_SERVICES} {comment} -m addrtype --dst-type LOCAL -m {state.protocol}"
            f" -p {state.protocol} --dport {state.node_port} -j {verdict}"
        )


def _internal_refusal(state: ServicePortState) -> tuple[str, str]:
    if not state.has_endpoints:
        return "has no endpoints", "REJECT"
    if state.internal_local and not state.local_endpoints:
        return "has no local endpoints", "DROP"
    return "", ""


def _external_refusal(state: ServicePortState) -> tuple[str, str]:
    if not state.is_external:
        return "", ""
    if not state.has_endpoints:
        return "has no endpoints", "REJECT"
    if state.external_local and not state.local_endpoints:
        return "has no local endpoints", "DROP"
    return "", ""


# -- nat: what is sent to endpoints


def _nat_rules(state: ServicePortState, cluster_cidr: str) -> Iterator[str]:
    if not state.has_endpoints:
        return
    yield from _captures(state)
    if state.is_external:
        yield from _external_chain(state, cluster_cidr)
    yield from _policy_chains(state, cluster_cidr)
    for entry in _used_endpoints(state):
        yield from _endpoint_chain(state, entry)


def _internal_policy(state: ServicePortState) -> str:
    pick = chains.local_policy if state.internal_local else chains.cluster_policy
    return pick(state.name, state.protocol)


def _captures(state: ServicePortState) -> Iterator[str]:
    if not state.internal_local or state.local_endpoints:
        comment = f'-m comment --comment "{state.name} cluster IP"'
        match = _match(state, state.cluster_ip, state.port)
        yield f"-A {chains.SERVICES} {comment} {match} -j {_internal_policy(state)}"
    target = chains.external(state.name, state.protocol)
    for address in state.external_ips:
        comment = f'-m comment --comment "{state.name} external IP"'
        yield f"-A {chains.SERVICES} {comment} {_match(state, address, state.port)} -j {target}"
    for address in state.load_balancer_ips:
        comment = f'-m comment --comment "{state.name} loadbalancer IP"'
        yield f"-A {chains.SERVICES} {comment} {_match(state, address, state.port)} -j {target}"
    if state.node_port:
        yield (
            f'-A {chains.NODE_PORTS} -m comment --comment "{state.name}" -m {state.protocol} -p {state.protocol}'
            f" --dport {state.node_port} -j {target}"
        )


def _external_chain(state: ServicePortState, cluster_cidr: str) -> Iterator[str]:
    chain = chains.external(state.name, state.protocol)
    cluster = chains.cluster_policy(state.name, state.protocol)
    if not state.external_local:
        yield (
            f'-A {chain} -m comment --comment "masquerade traffic for {state.name} external destinations"'
            f" -j {chains.MARK_MASQ}"
        )
        yield f"-A {chain} -j {cluster}"
        return
    if state.cluster_endpoints and state.uses_cluster_endpoints:
        yield (
            f'-A {chain} -m comment --comment "pod traffic for {state.name} external destinations"'
            f" -s {cluster_cidr} -j {cluster}"
        )
        yield (
            f'-A {chain} -m comment --comment "masquerade LOCAL traffic for {state.name} external destinations"'
            f" -m addrtype --src-type LOCAL -j {chains.MARK_MASQ}"
        )
        yield (
            f'-A {chain} -m comment --comment "route LOCAL traffic for {state.name} external destinations"'
            f" -m addrtype --src-type LOCAL -j {cluster}"
        )
    if state.local_endpoints:
        yield f"-A {chain} -j {chains.local_policy(state.name, state.protocol)}"


def _policy_chains(state: ServicePortState, cluster_cidr: str) -> Iterator[str]:
    masquerade = (
        f'-m comment --comment "{state.name} cluster IP" {_match(state, state.cluster_ip, state.port)}'
        f" ! -s {cluster_cidr} -j {chains.MARK_MASQ}"
    )
    if state.uses_cluster_endpoints and state.cluster_endpoints:
        chain = chains.cluster_policy(state.name, state.protocol)
        yield f"-A {chain} {masquerade}"
        yield from _balance(state, chain, state.cluster_endpoints)
    if state.uses_local_endpoints and state.local_endpoints:
        chain = chains.local_policy(state.name, state.protocol)
        yield f"-A {chain} {masquerade}"
        yield from _balance(state, chain, state.local_endpoints)


def _balance(state: ServicePortState, chain: str, endpoints: Sequence[Endpoint]) -> Iterator[str]:
    for position, entry in enumerate(endpoints):
        left = len(endpoints) - position
        comment = f'-m comment --comment "{state.name} -> {entry}"'
        chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
        yield f"-A {chain} {comment}{chance} -j {chains.endpoint(state.name, state.protocol, entry)}"


def _endpoint_chain(state: ServicePortState, entry: Endpoint) -> Iterator[str]:
    chain = chains.endpoint(state.name, state.protocol, entry)
    comment = f'-m comment --comment "{state.name}"'
    yield f"-A {chain} {comment} -s {entry.address} -j {chains.MARK_MASQ}"
    yield f"-A {chain} {comment} -m {state.protocol} -p {state.protocol} -j DNAT --to-destination {entry}"
