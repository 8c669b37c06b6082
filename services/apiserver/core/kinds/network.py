"""Networking and discovery."""

from typing import Final

from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.defaults import network as network_defaults
from podwire.services.apiserver.core.kinds.kind import STATUS, Kind, readers
from podwire.services.apiserver.core.printers import network as network_printers
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.validation import cluster as cluster_rules
from podwire.services.apiserver.core.validation import network as network_rules
from podwire.services.apiserver.core.validation import service_cidrs as service_cidr_rules


def _networking(resource: str, kind: str, printer: Printer, **more: object) -> Kind:
    definition = f"io.k8s.api.networking.v1.{kind}"
    group = "networking.k8s.io"
    return Kind(group, "v1", resource, kind, definition, printer, **more)  # type: ignore[arg-type]  # rows below


KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        "io.k8s.api.discovery.v1.EndpointSlice",
        network_printers.ENDPOINT_SLICE,
        defaults=network_defaults.endpoint_slice,
        validate=network_rules.endpoint_slice,
        counts_generation=True,
    ),
    _networking(
        "ingressclasses",
        "IngressClass",
        network_printers.INGRESS_CLASS,
        namespaced=False,
        counts_generation=True,
    ),
    _networking(
        "ingresses",
        "Ingress",
        network_printers.INGRESS,
        short_names=("ing",),
        subresources=(STATUS,),
        defaults=network_defaults.ingress,
        validate=network_rules.ingress,
        counts_generation=True,
    ),
    _networking(
        "ipaddresses",
        "IPAddress",
        network_printers.IP_ADDRESS,
        namespaced=False,
        short_names=("ip",),
        validate=cluster_rules.ip_address,
        name_rule=names.canonical_ip,
        fields=readers("spec.parentRef.name"),
    ),
    _networking(
        "networkpolicies",
        "NetworkPolicy",
        network_printers.NETWORK_POLICY,
        short_names=("netpol",),
        defaults=network_defaults.network_policy,
        validate=network_rules.network_policy,
        counts_generation=True,
    ),
    _networking(
        "servicecidrs",
        "ServiceCIDR",
        network_printers.SERVICE_CIDR,
        namespaced=False,
        subresources=(STATUS,),
        validate=service_cidr_rules.service_cidr,
        caution="podwire takes ClusterIPs from a ServiceCIDR at once, and lets it go while its addresses are in use",
    ),
)
