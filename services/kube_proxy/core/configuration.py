"""KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), the fields that act here."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

import yaml

from podwire.services.chassis.durations import parse_duration
from podwire.services.kube_proxy.core.family import Family, prefixes

MODES: Final = ("iptables", "ipvs", "nftables")
PRIMARY: Final = "primary"
"""In nodePortAddresses: the node's own InternalIPs (pkg/proxy/apis/config NodePortAddressesPrimary)."""

_HEALTHZ: Final = 10256
_METRICS: Final = 10249
_MARK_BIT: Final = 14


class ConfigurationError(ValueError):
    """A configuration that cannot be used; names the field and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Times are seconds; a port of 0 is not listened on."""

    mode: str = "iptables"
    cluster_cidrs: tuple[str, ...] = ()
    sync_period: float = 30.0
    min_sync_period: float = 1.0
    masquerade_all: bool = False
    masquerade_mark: int = 1 << _MARK_BIT
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    scheduler: str = "rr"
    strict_arp: bool = False
    timeouts: tuple[int, int, int] = (0, 0, 0)
    """IPVS': TCP, TCP after FIN, UDP; 0 leaves the kernel's own."""
    healthz_port: int = _HEALTHZ
    metrics_port: int = _METRICS

    def cluster_cidr(self, family: Family) -> str:
        """The pod network of a family, "" if none is named."""
        return next(iter(prefixes(self.cluster_cidrs, family)), "")


def read(text: str) -> Configuration:
    """The configuration. Raises ConfigurationError."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"config.conf: {error}") from None
    if not isinstance(value, dict) or value.get("kind") != "KubeProxyConfiguration":
        raise ConfigurationError("config.conf: kind KubeProxyConfiguration is needed")
    mode = value.get("mode") or "iptables"
    if mode not in MODES:
        raise ConfigurationError(f"mode: {mode!r} is none of {', '.join(MODES)} (blank means iptables)")
    _refuse_other_detection(value.get("detectLocalMode"))
    own, iptables, ipvs = (_section(value, name) for name in (mode, "iptables", "ipvs"))
    return Configuration(
        mode=mode,
        cluster_cidrs=_cidrs(value.get("clusterCIDR")),
        sync_period=_duration(f"{mode}.syncPeriod", own.get("syncPeriod"), 30.0),
        min_sync_period=_duration(f"{mode}.minSyncPeriod", own.get("minSyncPeriod"), 1.0),
        masquerade_all=_flag(f"{mode}.masqueradeAll", own.get("masqueradeAll"), False),
        masquerade_mark=_mark(own.get("masqueradeBit"), mode),
        localhost_node_ports=_flag("iptables.localhostNodePorts", iptables.get("localhostNodePorts"), True),
        node_port_addresses=_node_port_addresses(value.get("nodePortAddresses"), mode),
        scheduler=str(ipvs.get("scheduler") or "rr"),
        strict_arp=_flag("ipvs.strictARP", ipvs.get("strictARP"), False),
        timeouts=_timeouts(ipvs),
        healthz_port=_port("healthzBindAddress", value.get("healthzBindAddress"), _HEALTHZ),
        metrics_port=_port("metricsBindAddress", value.get("metricsBindAddress"), _METRICS),
    )


def _section(value: dict[str, Any], name: str) -> dict[str, Any]:
    section = value.get(name) or {}
    if not isinstance(section, dict):
        raise ConfigurationError(f"{name}: {section!r} is not a mapping of fields")
    return section


def _refuse_other_detection(mode: Any) -> None:
    if mode not in (None, "", "ClusterCIDR"):
        raise ConfigurationError(f"detectLocalMode: {mode!r} is not built; ClusterCIDR is")


def _cidrs(value: Any) -> tuple[str, ...]:
    """One prefix of each family at most, separated by a comma."""
    found: list[str] = []
    for text in str(value or "").split(","):
        if text:
            try:
                found.append(str(ipaddress.ip_network(text)))
            except ValueError as error:
                raise ConfigurationError(f"clusterCIDR: {value!r}: {error}") from None
    if len({":" in prefix: None for prefix in found}) < len(found):
        raise ConfigurationError(f"clusterCIDR: {value!r}: one IPv4 and one IPv6 prefix at most")
    return tuple(found)


def _node_port_addresses(value: Any, mode: str) -> tuple[str, ...]:
    """Empty means every local address, in nftables mode the node's own (cmd/kube-proxy/app/server.go)."""
    given = value or ([PRIMARY] if mode == "nftables" else [])
    if not isinstance(given, list):
        raise ConfigurationError(f"nodePortAddresses: {value!r} is not a list of prefixes")
    for text in given:
        if text != PRIMARY and not (prefixes([str(text)], "ipv4") or prefixes([str(text)], "ipv6")):
            raise ConfigurationError(f"nodePortAddresses: {text!r} is neither a prefix nor {PRIMARY!r}")
    if PRIMARY in given and len(given) > 1:
        raise ConfigurationError(f"nodePortAddresses: {value!r}: {PRIMARY!r} stands alone")
    return tuple(str(text) for text in given)


def _mark(bit: Any, mode: str) -> int:
    if bit is None:
        return 1 << _MARK_BIT
    if not isinstance(bit, int) or not 0 <= bit <= 31:
        raise ConfigurationError(f"{mode}.masqueradeBit: {bit!r} is not within 0 to 31")
    return 1 << bit


def _flag(name: str, value: Any, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}: {value!r} is neither true nor false")
    return value


def _timeouts(ipvs: dict[str, Any]) -> tuple[int, int, int]:
    tcp, fin, udp = (
        int(_duration(f"ipvs.{name}", ipvs.get(name), 0.0)) for name in ("tcpTimeout", "tcpFinTimeout", "udpTimeout")
    )
    return tcp, fin, udp


def _port(name: str, value: Any, default: int) -> int:
    """The port of `address:port`; kube-proxy listens on every address here, whatever the first part says."""
    if value in (None, ""):
        return default
    port = str(value).rpartition(":")[2]
    if not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{name}: {value!r} is not address:port")
    return int(port)


def _duration(name: str, value: Any, default: float) -> float:
    """A Go duration; 0 and null mean the default."""
    if value in (None, "", 0, "0", "0s"):
        return default
    seconds = parse_duration(str(value))
    if seconds is None:
        raise ConfigurationError(f"{name}: {value!r} is not a duration such as 30s")
    return seconds
