"""Which machine takes the packets to each address: a Ready one, and with externalTrafficPolicy Local one that has an
endpoint. What stays fit stays chosen, so that connections are not torn."""

from collections.abc import Iterable, Mapping

from podwire.proto.kube.families import family_of, of_family
from podwire.proto.kube.network import EndpointSlice, Node, Service, nodes_with_endpoints
from podwire.proto.subjects import ObjectKey

EXCLUDED_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


def fit_nodes(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """The addresses of the machines that may take packets, by name: Ready, and not excluded by their label.

    The control plane is: kubeadm labels it so. Upstream: service controller's getNodeConditionPredicate.
    """
    found = {
        node.metadata.name: tuple(node.internal_ips)
        for node in nodes
        if node.internal_ips and EXCLUDED_LABEL not in (node.metadata.labels or {}) and node.is_ready
    }
    return dict(sorted(found.items()))


def choose(
    addresses: Mapping[ObjectKey, tuple[str, ...]],
    services: Mapping[ObjectKey, Service],
    slices: Iterable[EndpointSlice],
    nodes: Mapping[str, tuple[str, ...]],
    present: Mapping[str, str],
) -> dict[str, str]:
    """The machine's address of the same family for each load balancer's address; `present` is what is chosen now.
    Addresses for which no machine is fit are left out."""
    local = nodes_with_endpoints(slices)
    chosen: dict[str, str] = {}
    given = sorted((address, key) for key, each in addresses.items() for address in each)
    for turn, (address, key) in enumerate(given):
        names = list(nodes)
        if services[key].spec.external_traffic_policy == "Local":
            having = local.get((key.namespace, key.name), {})
            names = [name for name in names if name in having]
        own = [of_family(list(nodes[name]), family_of(address)) for name in names]
        if fit := [each for each in own if each]:
            chosen[address] = present[address] if present.get(address) in fit else fit[turn % len(fit)]
    return chosen
