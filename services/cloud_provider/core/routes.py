"""Which machine takes the packets to each address: a Ready one, and with externalTrafficPolicy Local one that has an
endpoint. What stays fit stays chosen, so that connections are not torn."""

from collections.abc import Iterable, Mapping

from podwire.proto.kube.network import EndpointSlice, Node, Service, nodes_with_endpoints
from podwire.proto.subjects import ObjectKey

EXCLUDED_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


def fit_nodes(nodes: Iterable[Node]) -> dict[str, str]:
    """The addresses of the machines that may take packets, by name: Ready, and not excluded by their label.

    The control plane may (its taint is for pods). Upstream: service controller's getNodeConditionPredicate.
    """
    found = {
        node.metadata.name: node.internal_ip
        for node in nodes
        if node.internal_ip and EXCLUDED_LABEL not in (node.metadata.labels or {}) and node.is_ready
    }
    return dict(sorted(found.items()))


def choose(
    addresses: Mapping[ObjectKey, str],
    services: Mapping[ObjectKey, Service],
    slices: Iterable[EndpointSlice],
    nodes: Mapping[str, str],
    present: Mapping[str, str],
) -> dict[str, str]:
    """The machine's address for each load balancer's address; `present` is what is chosen now. Addresses for which no
    machine is fit are left out."""
    local = nodes_with_endpoints(slices)
    chosen: dict[str, str] = {}
    for turn, (key, address) in enumerate(sorted(addresses.items(), key=lambda entry: entry[1])):
        fit = list(nodes.values())
        if services[key].spec.external_traffic_policy == "Local":
            having = local.get((key.namespace, key.name), {})
            fit = [address for name, address in nodes.items() if name in having]
        if fit:
            chosen[address] = present[address] if present.get(address) in fit else fit[turn % len(fit)]
    return chosen
