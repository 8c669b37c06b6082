"""What differs between flannel's two families: names of devices and annotations, widths, bytes of encapsulation."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Stack:
    """One family. `family` is the API's name, `kernel` the kernel's; annotations are those of pkg/subnet/kube."""

    family: str
    kernel: Literal["ipv4", "ipv6"]
    device: str
    """The tunnel's device, before the point and the VNI (pkg/backend/vxlan)."""
    bits: int
    overhead: int
    """Bytes that a tunnel over this family adds: outer Ethernet 14, IP 20 or 40, UDP 8, VXLAN 8."""
    multicast: str
    public_ip: str
    backend_data: str
    network: str
    subnet: str
    """The last two are the variables of subnet.env."""


V4: Final = Stack(
    "IPv4",
    "ipv4",
    "flannel",
    32,
    50,
    "224.0.0.0/4",
    "public-ip",
    "backend-data",
    "FLANNEL_NETWORK",
    "FLANNEL_SUBNET",
)
V6: Final = Stack(
    "IPv6",
    "ipv6",
    "flannel-v6",
    128,
    70,
    "ff00::/8",
    "public-ipv6",
    "backend-v6-data",
    "FLANNEL_IPV6_NETWORK",
    "FLANNEL_IPV6_SUBNET",
)
STACKS: Final = (V4, V6)
