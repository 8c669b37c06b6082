"""The iptables rules of ipvs mode: a few, whatever Services there are; sets say what they are about."""

from collections.abc import Iterable, Iterator
from typing import Final

from podwire.services.chassis.iptables import Jump
from podwire.services.kube_proxy.core.ipvs import sets
from podwire.services.kube_proxy.core.ipvs.block import Frontend
from podwire.services.kube_proxy.core.surroundings import Surroundings

SERVICES: Final = "KUBE-SERVICES"
POSTROUTING: Final = "KUBE-POSTROUTING"
NODE_PORT: Final = "KUBE-NODE-PORT"
BALANCER: Final = "KUBE-LOAD-BALANCER"
MARK_MASQ: Final = "KUBE-MARK-MASQ"
FORWARD: Final = "KUBE-FORWARD"
PROXY_FIREWALL: Final = "KUBE-PROXY-FIREWALL"
SOURCE_RANGES: Final = "KUBE-SOURCE-RANGES-FIREWALL"
IPVS_FILTER: Final = "KUBE-IPVS-FILTER"
IPVS_OUT_FILTER: Final = "KUBE-IPVS-OUT-FILTER"

CHAINS: Final = {
    "nat": (SERVICES, POSTROUTING, NODE_PORT, BALANCER, MARK_MASQ),
    "filter": (FORWARD, NODE_PORT, PROXY_FIREWALL, SOURCE_RANGES, IPVS_FILTER, IPVS_OUT_FILTER),
}


def _jump(table: str, chain: str, target: str, comment: str) -> Jump:
    return table, chain, target, ("-m", "comment", "--comment", comment)


JUMPS: Final = (
    _jump("nat", "OUTPUT", SERVICES, "kubernetes service portals"),
    _jump("nat", "PREROUTING", SERVICES, "kubernetes service portals"),
    _jump("nat", "POSTROUTING", POSTROUTING, "kubernetes postrouting rules"),
    _jump("filter", "FORWARD", FORWARD, "kubernetes forwarding rules"),
    _jump("filter", "INPUT", NODE_PORT, "kubernetes health check rules"),
    _jump("filter", "INPUT", PROXY_FIREWALL, "kube-proxy firewall rules"),
    _jump("filter", "FORWARD", PROXY_FIREWALL, "kube-proxy firewall rules"),
    _jump("filter", "INPUT", IPVS_FILTER, "kubernetes ipvs access filter"),
    _jump("filter", "OUTPUT", IPVS_OUT_FILTER, "kubernetes ipvs access filter"),
)

_OF_SETS: Final = (
    (sets.LOOP_BACK, "nat", POSTROUTING, "MASQUERADE", "dst,dst,src", ""),
    (sets.LOAD_BALANCER, "nat", SERVICES, BALANCER, "dst,dst", ""),
    (sets.LOAD_BALANCER_LOCAL, "nat", BALANCER, "RETURN", "dst,dst", ""),
    (sets.NODE_PORT_LOCAL["tcp"], "nat", NODE_PORT, "RETURN", "dst", "tcp"),
    (sets.NODE_PORT["tcp"], "nat", NODE_PORT, MARK_MASQ, "dst", "tcp"),
    (sets.NODE_PORT_LOCAL["udp"], "nat", NODE_PORT, "RETURN", "dst", "udp"),
    (sets.NODE_PORT["udp"], "nat", NODE_PORT, MARK_MASQ, "dst", "udp"),
    (sets.NODE_PORT_LOCAL["sctp"], "nat", NODE_PORT, "RETURN", "dst,dst", "sctp"),
    (sets.NODE_PORT["sctp"], "nat", NODE_PORT, MARK_MASQ, "dst,dst", "sctp"),
    (sets.LOAD_BALANCER_FW, "filter", PROXY_FIREWALL, SOURCE_RANGES, "dst,dst", ""),
    (sets.SOURCE_CIDR, "filter", SOURCE_RANGES, "RETURN", "dst,dst,src", ""),
    (sets.SOURCE_IP, "filter", SOURCE_RANGES, "RETURN", "dst,dst,src", ""),
)
"""Set, table, chain, target, which parts of a packet, protocol: the rule is there while the set has elements."""


def text(around: Surroundings, used: Iterable[str], unreachable: Iterable[Frontend]) -> str:
    """The iptables-restore text; `used` are the sets that have elements."""
    held = dict.fromkeys(used)
    tables = {"nat": list(_nat(around, held)), "filter": list(_filter(around, held, unreachable))}
    lines: list[str] = []
    for table, rules in tables.items():
        lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in CHAINS[table])]
        lines += [*(f"-A {rule}" for rule in rules), "COMMIT"]
    return "\n".join(lines) + "\n"


def _matched(around: Surroundings, name: str, parts: str, *, said: bool = True) -> str:
    comment = f'-m comment --comment "{sets.KINDS[name].comment}" ' if said else ""
    return f"{comment}-m set --match-set {sets.name_of(name, around.family)} {parts}"


def _of_sets(around: Surroundings, table: str, held: dict[str, None]) -> Iterator[str]:
    for name, where, chain, target, parts, protocol in _OF_SETS:
        if where == table and name in held:
            yield f"{chain} {f'-p {protocol} ' if protocol else ''}{_matched(around, name, parts)} -j {target}"


def _nat(around: Surroundings, held: dict[str, None]) -> Iterator[str]:
    mark = around.mark
    yield f"{SERVICES} -s {'::1/128' if around.family == 'ipv6' else '127.0.0.0/8'} -j RETURN"
    yield from _of_sets(around, "nat", held)
    if sets.CLUSTER_IP in held:
        yield f"{SERVICES} {_masqueraded_cluster_ips(around)} -j {MARK_MASQ}"
    if sets.EXTERNAL_IP in held:
        yield f"{SERVICES} {_matched(around, sets.EXTERNAL_IP, 'dst,dst')} -j {MARK_MASQ}"
    for name in (sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
        if name in held:
            # what comes from other machines: neither from a bridge nor from here
            outside = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL"
            yield f"{SERVICES} {_matched(around, name, 'dst,dst')} {outside} -j ACCEPT"
            yield f"{SERVICES} {_matched(around, name, 'dst,dst')} -m addrtype --dst-type LOCAL -j ACCEPT"
    yield f"{SERVICES} -m addrtype --dst-type LOCAL -j {NODE_PORT}"
    yield f"{BALANCER} -j {MARK_MASQ}"
    for name in (sets.CLUSTER_IP, sets.LOAD_BALANCER):
        if name in held:
            yield f"{SERVICES} {_matched(around, name, 'dst,dst', said=False)} -j ACCEPT"
    yield f"{POSTROUTING} -m mark ! --mark {mark}/{mark} -j RETURN"
    yield f"{POSTROUTING} -j MARK --xor-mark {mark}"
    said = '-m comment --comment "kubernetes service traffic requiring SNAT"'
    yield f"{POSTROUTING} {said} -j MASQUERADE --random-fully"
    yield f"{MARK_MASQ} -j MARK --or-mark {mark}"


def _masqueraded_cluster_ips(around: Surroundings) -> str:
    """What comes from outside the pod network; without knowing that, what the node sends from a Service's address."""
    if around.masquerade_all or not around.cluster_cidr:
        return _matched(around, sets.CLUSTER_IP, "dst,dst" if around.masquerade_all else "src,dst")
    return f"{_matched(around, sets.CLUSTER_IP, 'dst,dst')} ! -s {around.cluster_cidr}"


def _filter(around: Surroundings, held: dict[str, None], unreachable: Iterable[Frontend]) -> Iterator[str]:
    yield from _of_sets(around, "filter", held)
    yield f"{SOURCE_RANGES} -j DROP"
    for protocol, address, port in unreachable:
        virtual = f"-m ipvs --vaddr {address} --vproto {protocol.upper()} --vport {port}"
        yield f"{IPVS_OUT_FILTER} -s {address} {virtual} -j DROP"
    mark = around.mark
    yield f'{FORWARD} -m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT'
    said = '-m comment --comment "kubernetes forwarding conntrack rule"'
    yield f"{FORWARD} {said} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f"{NODE_PORT} {_matched(around, sets.HEALTH_CHECK, 'dst')} -j ACCEPT"
    for name in (sets.LOAD_BALANCER, sets.CLUSTER_IP, sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
        yield f"{IPVS_FILTER} {_matched(around, name, 'dst,dst', said=False)} -j RETURN"
    yield f"{IPVS_FILTER} {_matched(around, sets.HEALTH_CHECK, 'dst', said=False)} -j RETURN"
    addresses = _matched(around, sets.IPVS_IPS, "dst", said=False)
    yield f"{IPVS_FILTER} -m conntrack --ctstate NEW {addresses} -j REJECT"
