"""net-conf.json (flannel-io/flannel, Documentation/configuration.md) and the files that flanneld writes."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from podwire.services.cni.flannel.core.leases import HOST_GW, VXLAN
from podwire.services.cni.flannel.core.stack import V4, V6, Stack

VXLAN_OVERHEAD: Final = V4.overhead
"""What pods leave room for, whatever their family: flannel's encapOverhead is one number (pkg/backend/vxlan). What is
too big for a tunnel over IPv6, which takes 20 bytes more, the node refuses with Packet Too Big."""


class ConfigurationError(ValueError):
    """A net-conf.json that cannot be used."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The cluster's pod networks and the backend: `vxlan` (VNI, port, DirectRouting) or `host-gw`."""

    networks: tuple[tuple[Stack, str], ...]
    backend: str = VXLAN
    vni: int = 1
    port: int = 8472
    direct_routing: bool = False

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The families that are enabled."""
        return tuple(stack for stack, _ in self.networks)

    def network(self, stack: Stack) -> str:
        """The pod network of an enabled family."""
        return dict(self.networks)[stack]

    @property
    def overhead(self) -> int:
        """Bytes that the backend adds to a packet."""
        return VXLAN_OVERHEAD if self.backend == VXLAN else 0

    def device(self, stack: Stack) -> str:
        """The tunnel's device of a family."""
        return f"{stack.device}.{self.vni}"


def read(text: str) -> Configuration:
    """The configuration. Raises ConfigurationError that names the field."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"net-conf.json: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("net-conf.json: an object is needed")
    backend = value.get("Backend") or {"Type": "udp"}
    if not isinstance(backend, dict) or backend.get("Type") not in (VXLAN, HOST_GW):
        raise ConfigurationError(f"net-conf.json: Backend.Type {backend!r} is not built; vxlan and host-gw are")
    direct = backend.get("DirectRouting", False)
    if not isinstance(direct, bool):
        raise ConfigurationError(f"net-conf.json: Backend.DirectRouting {direct!r}: true or false is needed")
    networks = _networks(value)
    vni, port = backend.get("VNI", 1), backend.get("Port", 8472)
    if not (isinstance(vni, int) and 0 < vni < 1 << 24):
        raise ConfigurationError(f"net-conf.json: Backend.VNI {vni!r}: a number from 1 to 16777215 is needed")
    if not (isinstance(port, int) and 0 < port < 65536):
        raise ConfigurationError(f"net-conf.json: Backend.Port {port!r}: a port is needed")
    return Configuration(networks, backend["Type"], vni, port, direct)


def _networks(value: dict[str, Any]) -> tuple[tuple[Stack, str], ...]:
    """The networks of the enabled families; IPv4 is enabled unless it is said not to be. Raises ConfigurationError."""
    found = []
    for stack, flag, field, unless_said in (
        (V4, "EnableIPv4", "Network", True),
        (V6, "EnableIPv6", "IPv6Network", False),
    ):
        enabled = value.get(flag, unless_said)
        if not isinstance(enabled, bool):
            raise ConfigurationError(f"net-conf.json: {flag} {enabled!r}: true or false is needed")
        if enabled:
            found.append((stack, _network(value.get(field, ""), stack, field)))
    if not found:
        raise ConfigurationError("net-conf.json: EnableIPv4 and EnableIPv6 are false: one of them is needed")
    return tuple(found)


def _network(value: Any, stack: Stack, field: str) -> str:
    try:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a network")
        return str(ipaddress.IPv4Network(value) if stack is V4 else ipaddress.IPv6Network(value))
    except ValueError as error:
        raise ConfigurationError(f"net-conf.json: {field}: {error}") from None


def subnet_environment(configuration: Configuration, subnets: Mapping[str, str], mtu: int) -> str:
    """/run/flannel/subnet.env as flanneld writes it; `subnets` are the node's by family. Of a subnet the gateway's
    address is written."""
    lines = {}
    for stack, network in configuration.networks:
        subnet = ipaddress.ip_network(subnets[stack.family])
        lines[stack.network] = network
        lines[stack.subnet] = f"{subnet.network_address + 1}/{subnet.prefixlen}"
    lines |= {"FLANNEL_MTU": str(mtu), "FLANNEL_IPMASQ": "true"}
    return "".join(f"{name}={value}\n" for name, value in lines.items())
