"""The table of packet walks: who sends where, and what becomes of it (upstream's runPacketFlowTests, and more).

A row says at which endpoints packets arrive; `*` marks those whose source address was changed (masqueraded). REJECT:
the sender is told; DROP: it is not; `as is`: kube-proxy does nothing. All rows hold in every mode and family, but for
the differences that upstream has, named in the row.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from proxy_plan import BRIDGE, NODE


class Row(NamedTuple):
    """One walk. `expected` by mode and family, "" for all others."""

    source: str
    destination: str
    protocol: str
    port: int
    expected: Mapping[str, str]

    def outcome(self, mode: str, family: str) -> str:
        """What is expected."""
        found = [self.expected[key] for key in (f"{mode}/{family}", mode, "") if key in self.expected]
        return found[0]


Differences = Mapping[str, str] | None


def to(
    destination: str,
    protocol: str,
    port: int,
    *,
    ipvs: Differences = None,
    nftables: Differences = None,
    iptables: Differences = None,
    iptables_ipv6: Differences = None,
    **expected: str,
) -> Iterator[Row]:
    """Rows to one destination, by source."""
    others = {
        "ipvs": ipvs or {},
        "nftables": nftables or {},
        "iptables": iptables or {},
        "iptables/ipv6": iptables_ipv6 or {},
    }
    for source, outcome in expected.items():
        differing = {key: given[source] for key, given in others.items() if source in given}
        yield Row(source, destination, protocol, port, {"": outcome, **differing})


def ip(number: int) -> str:
    """A Service's cluster IP."""
    return f"172.30.0.{number}"


TWO, TWO_MASKED = "l1:8080 r1:8080", "l1:8080* r1:8080*"
ALL = "l1:8080 l2:8080 r1:8080 r2:8080"
ALL_MASKED = "l1:8080* l2:8080* r1:8080* r2:8080*"
MASKED: Final = dict.fromkeys(("pod", "node", "client", "other_node", "remote_pod"), TWO_MASKED)
REFUSED: Final = dict.fromkeys(("pod", "node", "client"), "REJECT")
NO_SHORT_CIRCUIT: Final = dict.fromkeys(("pod", "node", "remote_pod"), "l1:8080")
"""ipvs mode sends what the node and its pods send to external addresses to local endpoints too, and keeps sources."""
UNREACHABLE_REPLY: Final = dict.fromkeys(("pod", "node", "client", "other_node", "remote_pod"), "r1:8080")
"""ipvs mode without a local endpoint sends what comes from outside to others, whose answers get lost (PR 97081)."""
NO_NODE: Final = {"node": "DROP"}
"""nftables mode looks for what to drop before DNAT, and so drops what the node sends to external addresses too."""
ONLY_PRIMARY: Final = {"client": "REJECT", "pod": "REJECT"}
"""nftables mode serves node ports on the node's own address only (nodePortAddresses: primary)."""


def _cluster_ips() -> Iterator[Row]:
    yield from to(ip(41), "tcp", 80, pod=TWO, node=TWO_MASKED, client=TWO_MASKED, other_node=TWO_MASKED)
    yield from to(ip(41), "tcp", 80, remote_pod=TWO, l1="l1:8080* r1:8080")
    # a port that the Service does not have: iptables mode lets it pass (kubernetes issue 72236)
    wrong = {"pod": "REJECT", "node": "REJECT", "client": "REJECT"}
    yield from to(ip(41), "tcp", 81, pod="as is", node="as is", client="as is", ipvs=wrong, nftables=wrong)
    yield from to(ip(41), "udp", 80, pod="as is", client="as is", ipvs=wrong, nftables=wrong)
    yield from to("172.30.99.99", "tcp", 80, pod="as is", client="as is")
    yield from to(ip(42), "udp", 53, pod="l2:5353", node="l2:5353*", client="l2:5353*", remote_pod="l2:5353")
    yield from to(ip(42), "tcp", 53, pod="l2:5353", node="l2:5353*", client="l2:5353*", l1="l2:5353")
    yield from to(ip(43), "sctp", 7777, pod="l1:7777 r1:7777", client="l1:7777* r1:7777*", node="l1:7777* r1:7777*")
    yield from to(ip(71), "tcp", 80, pod="l1:8080", l1="l1:8080*", node="l1:8080*")
    yield from to(ip(74), "tcp", 80, pod="l1:8080", client="l1:8080*")
    yield from to(ip(74), "tcp", 81, pod="l1:8081", client="l1:8081*")
    yield from to(ip(76), "tcp", 80, pod="as is", client="as is")
    yield from to(ip(77), "tcp", 80, pod=ALL, node=ALL_MASKED, client=ALL_MASKED, remote_pod=ALL)


def _without_endpoints() -> Iterator[Row]:
    yield from to(ip(44), "tcp", 80, **REFUSED, remote_pod="REJECT")
    yield from to(ip(44), "udp", 53, **REFUSED)
    yield from to(ip(50), "tcp", 80, **REFUSED)
    yield from to(NODE, "tcp", 30050, **REFUSED)
    # iptables mode does not look at external addresses in OUTPUT
    unseen = {"node": "as is"}
    yield from to("192.168.99.61", "tcp", 80, **REFUSED, iptables=unseen)
    yield from to("1.2.3.78", "tcp", 80, **REFUSED, iptables=unseen)
    yield from to(ip(65), "tcp", 80, **REFUSED)


def _internal_policy() -> Iterator[Row]:
    yield from to(ip(45), "tcp", 80, pod="l1:8080", node="l1:8080*", client="l1:8080*", remote_pod="l1:8080")
    # no endpoint of this node: dropped; a virtual service without servers answers
    yield from to(ip(46), "tcp", 80, pod="DROP", node="DROP", client="DROP", ipvs=REFUSED)
    yield from to(ip(75), "tcp", 80, pod="l1:8080", node="l1:8080*", client="l1:8080*")
    yield from to(NODE, "tcp", 30075, client="l1:8080", pod=TWO, node=TWO_MASKED, ipvs=NO_SHORT_CIRCUIT)


def _node_ports() -> Iterator[Row]:
    yield from to(NODE, "tcp", 30047, **MASKED)
    yield from to(NODE, "tcp", 30047, l1=TWO_MASKED)
    yield from to(BRIDGE, "tcp", 30047, client=TWO_MASKED, pod=TWO_MASKED, nftables=ONLY_PRIMARY)
    only_iptables = {"localhost": "REJECT"}
    yield from to(
        "127.0.0.1",
        "tcp",
        30047,
        localhost=TWO_MASKED,
        ipvs=only_iptables,
        nftables=only_iptables,
        iptables_ipv6=only_iptables,
    )
    yield from to(NODE, "udp", 30047, client="REJECT", pod="REJECT")
    yield from to(NODE, "tcp", 30099, client="REJECT", pod="REJECT")
    yield from to("192.168.0.3", "tcp", 30047, pod="as is", node="as is")
    yield from to(ip(47), "tcp", 80, pod=TWO, client=TWO_MASKED)
    yield from to(ip(47), "tcp", 30047, pod="as is", ipvs={"pod": "REJECT"}, nftables={"pod": "REJECT"})
    yield from to(NODE, "udp", 30072, client="r1:5353*", pod="r1:5353*", node="r1:5353*", remote_pod="r1:5353*")
    yield from to(NODE, "tcp", 30072, client="REJECT")
    yield from to(NODE, "sctp", 30073, client="l1:7777*", pod="l1:7777*")
    yield from to(NODE, "tcp", 30077, client=ALL_MASKED, pod=ALL_MASKED, node=ALL_MASKED)


def _external_policy_of_node_ports() -> Iterator[Row]:
    local = {"client": "l1:8080", "other_node": "l1:8080", "pod": TWO, "node": TWO_MASKED, "remote_pod": TWO}
    yield from to(NODE, "tcp", 30048, **local, ipvs=NO_SHORT_CIRCUIT)
    yield from to(ip(48), "tcp", 80, pod=TWO, node=TWO_MASKED, client=TWO_MASKED)
    none = {"client": "DROP", "other_node": "DROP", "pod": "r1:8080", "node": "r1:8080*", "remote_pod": "r1:8080"}
    yield from to(NODE, "tcp", 30049, **none, ipvs=UNREACHABLE_REPLY)
    yield from to(ip(49), "tcp", 80, pod="r1:8080", node="r1:8080*", client="r1:8080*")
    yield from to(
        NODE,
        "udp",
        30079,
        client="l2:5353",
        pod="l2:5353 r2:5353",
        node="l2:5353* r2:5353*",
        ipvs={"pod": "l2:5353", "node": "l2:5353"},
    )


def _load_balancers() -> Iterator[Row]:
    yield from to("1.2.3.51", "tcp", 80, **MASKED)
    yield from to(NODE, "tcp", 30051, **MASKED)
    yield from to(ip(51), "tcp", 80, pod=TWO, client=TWO_MASKED)
    local = {"client": "l1:8080", "other_node": "l1:8080", "pod": TWO, "node": TWO_MASKED, "remote_pod": TWO}
    yield from to("1.2.3.52", "tcp", 80, **local, ipvs=NO_SHORT_CIRCUIT)
    yield from to(NODE, "tcp", 30052, client="l1:8080", pod=TWO, ipvs=NO_SHORT_CIRCUIT)
    none = {"client": "DROP", "other_node": "DROP", "pod": "r1:8080", "node": "r1:8080*", "remote_pod": "r1:8080"}
    yield from to("1.2.3.54", "tcp", 80, **none, ipvs=UNREACHABLE_REPLY, nftables=NO_NODE)
    yield from to("1.2.3.57", "tcp", 80, pod="as is", client="as is", node="as is")
    yield from to(ip(57), "tcp", 80, pod=TWO)
    yield from to(NODE, "tcp", 30057, client=TWO_MASKED)


def _fences() -> Iterator[Row]:
    others = dict.fromkeys(("client", "pod", "node", "other_node", "remote_pod"), "DROP")
    yield from to("1.2.3.55", "tcp", 80, **others, allowed=TWO_MASKED)
    yield from to(ip(55), "tcp", 80, pod=TWO, client=TWO_MASKED, allowed=TWO_MASKED)
    yield from to(NODE, "tcp", 30055, client=TWO_MASKED, allowed=TWO_MASKED)
    inside = dict.fromkeys(("client", "other_node", "pod", "node"), TWO_MASKED)
    yield from to("1.2.3.56", "tcp", 80, **inside, allowed="DROP", remote_pod="DROP")


def _external_ips() -> Iterator[Row]:
    yield from to("192.168.99.58", "tcp", 80, **MASKED)
    # ipvs mode binds the address, and refuses what else comes to it
    yield from to("192.168.99.58", "tcp", 81, pod="as is", client="as is", ipvs=REFUSED)
    yield from to(ip(58), "tcp", 80, pod=TWO, client=TWO_MASKED)
    local = {"client": "l1:8080", "other_node": "l1:8080", "pod": TWO, "node": TWO_MASKED, "remote_pod": TWO}
    yield from to("192.168.99.59", "tcp", 80, **local, ipvs=NO_SHORT_CIRCUIT)
    none = {"client": "DROP", "other_node": "DROP", "pod": "r1:8080", "node": "r1:8080*", "remote_pod": "r1:8080"}
    yield from to("192.168.99.60", "tcp", 80, **none, ipvs=UNREACHABLE_REPLY, nftables=NO_NODE)
    yield from to("192.168.99.77", "tcp", 80, client=ALL_MASKED, pod=ALL_MASKED)


def _endpoints_that_come_and_go() -> Iterator[Row]:
    yield from to(ip(62), "tcp", 80, pod="l1:8080", node="l1:8080*", client="l1:8080*")
    yield from to(ip(63), "tcp", 80, pod="r1:8080", node="r1:8080*", client="r1:8080*")
    yield from to(ip(64), "tcp", 80, pod="r1:8080", client="r1:8080*")
    leaving = {"client": "l1:8080", "pod": "r1:8080", "node": "r1:8080*", "remote_pod": "r1:8080"}
    yield from to(NODE, "tcp", 30064, **leaving, ipvs=NO_SHORT_CIRCUIT)


def _topology() -> Iterator[Row]:
    yield from to(ip(66), "tcp", 80, pod="l1:8080", node="l1:8080*", client="l1:8080*")
    yield from to(ip(67), "tcp", 80, pod=TWO, client=TWO_MASKED)
    yield from to(ip(68), "tcp", 80, pod=TWO, client=TWO_MASKED)
    yield from to(ip(69), "tcp", 80, pod="r1:8080", client="r1:8080*")
    near = {"client": "l1:8080", "pod": "r1:8080", "node": "r1:8080*"}
    yield from to(NODE, "tcp", 30069, **near, ipvs=NO_SHORT_CIRCUIT)


ROWS: Final = [
    *_cluster_ips(),
    *_without_endpoints(),
    *_internal_policy(),
    *_node_ports(),
    *_external_policy_of_node_ports(),
    *_load_balancers(),
    *_fences(),
    *_external_ips(),
    *_endpoints_that_come_and_go(),
    *_topology(),
]
