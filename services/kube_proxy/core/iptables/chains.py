"""Names of kube-proxy's chains (pkg/proxy/iptables/proxier.go): a prefix and 16 characters of a base32 SHA-256."""

import base64
import hashlib
from functools import lru_cache
from typing import Final

from podwire.services.chassis.iptables import Jump
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.ports import ServicePortName

SERVICES: Final = "KUBE-SERVICES"
EXTERNAL_SERVICES: Final = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS: Final = "KUBE-NODEPORTS"
POSTROUTING: Final = "KUBE-POSTROUTING"
MARK_MASQ: Final = "KUBE-MARK-MASQ"
FORWARD: Final = "KUBE-FORWARD"
FIREWALL: Final = "KUBE-FIREWALL"
PROXY_FIREWALL: Final = "KUBE-PROXY-FIREWALL"
CANARY: Final = "KUBE-PROXY-CANARY"
"""Empty: when it is gone, somebody has flushed the tables (pkg/util/iptables Monitor)."""

CANARY_TABLES: Final = ("mangle", "nat", "filter")
FILTER: Final = (NODE_PORTS, SERVICES, EXTERNAL_SERVICES, FORWARD, PROXY_FIREWALL, FIREWALL)
NAT: Final = (NODE_PORTS, SERVICES, MARK_MASQ, POSTROUTING)
OWNED_PREFIXES: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-")

_EXTERNALLY: Final = "kubernetes externally-visible service portals"
_PORTALS: Final = "kubernetes service portals"
_LOAD_BALANCER: Final = "kubernetes load balancer firewall"
_NEW: Final = ("-m", "conntrack", "--ctstate", "NEW")


def _jump(table: str, chain: str, target: str, comment: str, *matches: str) -> Jump:
    return table, chain, target, (*matches, *(("-m", "comment", "--comment", comment) if comment else ()))


JUMPS: Final = (
    _jump("filter", "INPUT", EXTERNAL_SERVICES, _EXTERNALLY, *_NEW),
    _jump("filter", "FORWARD", EXTERNAL_SERVICES, _EXTERNALLY, *_NEW),
    _jump("filter", "INPUT", NODE_PORTS, "kubernetes health check service ports"),
    _jump("filter", "FORWARD", SERVICES, _PORTALS, *_NEW),
    _jump("filter", "OUTPUT", SERVICES, _PORTALS, *_NEW),
    _jump("filter", "FORWARD", FORWARD, "kubernetes forwarding rules"),
    _jump("filter", "INPUT", PROXY_FIREWALL, _LOAD_BALANCER, *_NEW),
    _jump("filter", "OUTPUT", PROXY_FIREWALL, _LOAD_BALANCER, *_NEW),
    _jump("filter", "FORWARD", PROXY_FIREWALL, _LOAD_BALANCER, *_NEW),
    _jump("filter", "INPUT", FIREWALL, ""),
    _jump("filter", "OUTPUT", FIREWALL, ""),
    _jump("nat", "OUTPUT", SERVICES, _PORTALS),
    _jump("nat", "PREROUTING", SERVICES, _PORTALS),
    _jump("nat", "POSTROUTING", POSTROUTING, "kubernetes postrouting rules"),
)
"""Where the kernel's chains jump into ours; KUBE-FIREWALL is the kubelet's."""


def _hash(*parts: str) -> str:
    """The first 16 letters of the hash: 80 bits."""
    return base64.b32encode(hashlib.sha256("".join(parts).encode()).digest()[:10]).decode()


@lru_cache(maxsize=65536)
def cluster_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over all endpoints."""
    return "KUBE-SVC-" + _hash(str(name), protocol)


def local_policy(name: ServicePortName, protocol: str) -> str:
    """Balances over the node's own endpoints."""
    return "KUBE-SVL-" + _hash(str(name), protocol)


@lru_cache(maxsize=65536)
def external(name: ServicePortName, protocol: str) -> str:
    """Traffic to the external addresses of a Service."""
    return "KUBE-EXT-" + _hash(str(name), protocol)


def firewall(name: ServicePortName, protocol: str) -> str:
    """Lets allowed sources through to a load balancer address."""
    return "KUBE-FW-" + _hash(str(name), protocol)


@lru_cache(maxsize=65536)
def endpoint(name: ServicePortName, protocol: str, backend: Endpoint) -> str:
    """DNATs to one endpoint."""
    return "KUBE-SEP-" + _hash(str(name), protocol, str(backend))
