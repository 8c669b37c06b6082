"""Names in the table kube-proxy (pkg/proxy/nftables/proxier.go, v1.33): a hash and the Service's own words."""

import base64
import hashlib
from functools import lru_cache
from typing import Final

from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.family import Family
from podwire.services.kube_proxy.core.ports import ServicePortName

TABLE: Final = "kube-proxy"
FAMILY_WORDS: Final[dict[Family, tuple[str, str]]] = {"ipv4": ("ip", "ipv4_addr"), "ipv6": ("ip6", "ipv6_addr")}
"""nft's word for a family's table and header, and for its type of address."""

SERVICES: Final = "services"
MARK_MASQ: Final = "mark-for-masquerade"
MASQUERADING: Final = "masquerading"
REJECT: Final = "reject-chain"
FIREWALL_CHECK: Final = "firewall-check"
SERVICE_ENDPOINTS_CHECK: Final = "service-endpoints-check"
NODE_PORT_ENDPOINTS_CHECK: Final = "nodeport-endpoints-check"
CLUSTER_IPS_CHECK: Final = "cluster-ips-check"

CLUSTER_IPS: Final = "cluster-ips"
NODE_PORT_IPS: Final = "nodeport-ips"
SERVICE_IPS: Final = "service-ips"
SERVICE_NODE_PORTS: Final = "service-nodeports"
NO_ENDPOINT_SERVICES: Final = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS: Final = "no-endpoint-nodeports"
FIREWALL_IPS: Final = "firewall-ips"

_LONGEST: Final = 256 - 16
AFFINITY: Final = "affinity-"


def is_of_a_service(chain: str) -> bool:
    """Whether a chain is one of a Service port or endpoint: only those have slashes."""
    return "/" in chain


def _hashed(name: str) -> str:
    """The name after 8 characters of its base32 SHA-256, cut to what nft takes."""
    hashed = base64.b32encode(hashlib.sha256(name.encode()).digest()[:5]).decode() + "-" + name
    return hashed if len(hashed) <= _LONGEST else hashed[: _LONGEST - 3] + "..."


@lru_cache(maxsize=65536)
def _of_port(name: ServicePortName, protocol: str) -> str:
    return _hashed(f"{name.namespace}/{name.name}/{protocol}/{name.port}")


@lru_cache(maxsize=65536)
def _of_endpoint(name: ServicePortName, protocol: str, address: str, port: int) -> str:
    place = f"{address.replace(':', '.')}/{port}"
    return _hashed(f"{name.namespace}/{name.name}/{protocol}/{name.port}__{place}")


def cluster_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over all endpoints."""
    return "service-" + _of_port(name, protocol)


def local_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over the node's own endpoints."""
    return "local-" + _of_port(name, protocol)


def external(name: ServicePortName, protocol: str) -> str:
    """Traffic to the external addresses of a Service."""
    return "external-" + _of_port(name, protocol)


def firewall(name: ServicePortName, protocol: str) -> str:
    """Drops what comes from sources that are not allowed."""
    return "firewall-" + _of_port(name, protocol)


def endpoint(name: ServicePortName, protocol: str, backend: Endpoint) -> str:
    """DNATs to one endpoint."""
    return "endpoint-" + _of_endpoint(name, protocol, backend.address, backend.port)


def affinity(name: ServicePortName, protocol: str, backend: Endpoint) -> str:
    """The set of clients that stay with one endpoint."""
    return AFFINITY + _of_endpoint(name, protocol, backend.address, backend.port)
