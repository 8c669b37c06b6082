"""KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), the fields that act here."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigurationError(ValueError):
    """A configuration that cannot be used; names the field and its value."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Mode, pod network, and how often rules are synced (seconds)."""

    mode: str
    cluster_cidr: str
    sync_period: float = 30.0
    min_sync_period: float = 1.0


def read(text: str) -> Configuration:
    """The configuration. Raises ConfigurationError."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"config.conf: {error}") from None
    if not isinstance(value, dict) or value.get("kind") != "KubeProxyConfiguration":
        raise ConfigurationError("config.conf: kind KubeProxyConfiguration is needed")
    mode = value.get("mode") or "iptables"
    if mode != "iptables":
        raise ConfigurationError(f'mode: {mode!r} is not built yet; "iptables" is')
    iptables = value.get("iptables") or {}
    return Configuration(
        mode,
        _cidr(value.get("clusterCIDR")),
        _duration("iptables.syncPeriod", iptables.get("syncPeriod"), 30.0),
        _duration("iptables.minSyncPeriod", iptables.get("minSyncPeriod"), 1.0),
    )


def _cidr(value: Any) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise ConfigurationError(f"clusterCIDR: {value!r}: {error}") from None


def _duration(name: str, value: Any, default: float) -> float:
    """A Go duration; 0 and null mean the default."""
    if value in (None, "", 0, "0", "0s"):
        return default
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(value))
    if "".join(number + unit for number, unit in parts) != str(value):
        raise ConfigurationError(f"{name}: {value!r} is not a duration such as 30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
