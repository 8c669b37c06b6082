"""What a node tells its kube-proxy: families, addresses, zone."""

from collections.abc import Iterable
from typing import Final

from podwire.proto.kube.network import Node
from podwire.services.kube_proxy.core.configuration import PRIMARY, Configuration
from podwire.services.kube_proxy.core.family import FAMILIES, Family, addresses, contains, prefixes
from podwire.services.kube_proxy.core.surroundings import Surroundings

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
ELIGIBLE_UNLESS: Final = "ToBeDeletedByClusterAutoscaler"
"""The taint of a node that load balancers shall leave (pkg/proxy/healthcheck/proxy_health.go)."""


def families(node: Node) -> list[Family]:
    """The families that the node has an address of, IPv4 first."""
    return [family for family in FAMILIES if addresses(node.internal_ips, family)]


def zone(node: Node) -> str:
    """The node's zone, "" if it has none."""
    return (node.metadata.labels or {}).get(ZONE_LABEL, "")


def is_eligible(node: Node) -> bool:
    """Whether load balancers may send to it."""
    tainted = any(taint.key == ELIGIBLE_UNLESS for taint in node.spec.taints or [])
    return not tainted and not node.metadata.deletion_timestamp


def surroundings(node: Node, family: Family, configuration: Configuration) -> Surroundings:
    """What the rules of a family depend on."""
    own = addresses(node.internal_ips, family)
    return Surroundings(
        family=family,
        node_ip=own[0],
        cluster_cidr=configuration.cluster_cidr(family),
        node_port_addresses=_node_port_addresses(configuration.node_port_addresses, own, family),
        masquerade_all=configuration.masquerade_all,
        masquerade_mark=configuration.masquerade_mark,
        localhost_node_ports=configuration.localhost_node_ports,
        scheduler=configuration.scheduler,
        strict_arp=configuration.strict_arp,
    )


def _node_port_addresses(given: tuple[str, ...], own: Iterable[str], family: Family) -> tuple[str, ...] | None:
    """None: all of them (proxyutil.NodePortAddresses)."""
    if given == (PRIMARY,):
        return tuple(own)
    wanted = prefixes(given, family)
    if not given or any(prefix.endswith("/0") for prefix in wanted):
        return None
    return tuple(address for address in own if any(contains(prefix, address) for prefix in wanted))
