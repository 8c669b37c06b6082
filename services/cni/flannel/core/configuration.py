"""net-conf.json (flannel-io/flannel, Documentation/configuration.md) and the files that flanneld writes."""

import ipaddress
import json
from dataclasses import dataclass
from typing import Final

from podwire.services.cni.flannel.core.leases import HOST_GW, VXLAN

VXLAN_OVERHEAD: Final = 50
"""Bytes: outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8."""


class ConfigurationError(ValueError):
    """A net-conf.json that cannot be used."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The cluster's pod network and the backend: `vxlan` (VNI, port, DirectRouting) or `host-gw`."""

    network: str
    backend: str = VXLAN
    vni: int = 1
    port: int = 8472
    direct_routing: bool = False

    @property
    def overhead(self) -> int:
        """Bytes that the backend adds to a packet."""
        return VXLAN_OVERHEAD if self.backend == VXLAN else 0

    @property
    def device(self) -> str:
        """The tunnel's device."""
        return f"flannel.{self.vni}"


def read(text: str) -> Configuration:
    """The configuration. Raises ConfigurationError that names the field."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"net-conf.json: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError("net-conf.json: an object is needed")
    if value.get("EnableIPv6"):
        raise ConfigurationError("net-conf.json: EnableIPv6 true is not built; pods have IPv4 addresses")
    backend = value.get("Backend") or {"Type": "udp"}
    if not isinstance(backend, dict) or backend.get("Type") not in (VXLAN, HOST_GW):
        raise ConfigurationError(f"net-conf.json: Backend.Type {backend!r} is not built; vxlan and host-gw are")
    direct = backend.get("DirectRouting", False)
    if not isinstance(direct, bool):
        raise ConfigurationError(f"net-conf.json: Backend.DirectRouting {direct!r}: true or false is needed")
    try:
        network = str(ipaddress.IPv4Network(value.get("Network", "")))
    except ValueError as error:
        raise ConfigurationError(f"net-conf.json: Network: {error}") from None
    vni, port = backend.get("VNI", 1), backend.get("Port", 8472)
    if not (isinstance(vni, int) and 0 < vni < 1 << 24):
        raise ConfigurationError(f"net-conf.json: Backend.VNI {vni!r}: a number from 1 to 16777215 is needed")
    if not (isinstance(port, int) and 0 < port < 65536):
        raise ConfigurationError(f"net-conf.json: Backend.Port {port!r}: a port is needed")
    return Configuration(network, backend["Type"], vni, port, direct)


def subnet_environment(configuration: Configuration, pod_cidr: str, mtu: int) -> str:
    """/run/flannel/subnet.env as flanneld writes it: the subnet with the gateway's address."""
    subnet = ipaddress.IPv4Network(pod_cidr)
    lines = {
        "FLANNEL_NETWORK": configuration.network,
        "FLANNEL_SUBNET": f"{subnet.network_address + 1}/{subnet.prefixlen}",
        "FLANNEL_MTU": str(mtu),
        "FLANNEL_IPMASQ": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())
