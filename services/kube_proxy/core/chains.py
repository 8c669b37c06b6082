"""Names of kube-proxy's chains (pkg/proxy/iptables/proxier.go): a prefix and 16 characters of a base32 SHA-256."""

import base64
import hashlib
from typing import Final

from podwire.services.kube_proxy.core.ports import Endpoint, ServicePortName

SERVICES: Final = "KUBE-SERVICES"
EXTERNAL_SERVICES: Final = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS: Final = "KUBE-NODEPORTS"
POSTROUTING: Final = "KUBE-POSTROUTING"
MARK_MASQ: Final = "KUBE-MARK-MASQ"
FORWARD: Final = "KUBE-FORWARD"
FIREWALL: Final = "KUBE-FIREWALL"
PROXY_FIREWALL: Final = "KUBE-PROXY-FIREWALL"

OWNED_PREFIXES: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")


def _hash(*parts: str) -> str:
    return base64.b32encode(hashlib.sha256("".join(parts).encode()).digest()).decode()[:16]


def cluster_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over all endpoints."""
    return "KUBE-SVC-" + _hash(str(name), protocol)


def local_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over the node's own endpoints."""
    return "KUBE-SVL-" + _hash(str(name), protocol)


def external(name: ServicePortName, protocol: str) -> str:
    """Traffic to the external addresses of a Service."""
    return "KUBE-EXT-" + _hash(str(name), protocol)


def endpoint(name: ServicePortName, protocol: str, backend: Endpoint) -> str:
    """DNATs to one endpoint."""
    return "KUBE-SEP-" + _hash(str(name), protocol, str(backend))
