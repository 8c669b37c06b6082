"""Who is where in the packet walks, in both families; rows are written with IPv4 addresses and mean both."""

import ipaddress
from typing import Final

from podwire.services.kube_proxy.core.family import Family

CLUSTER_CIDR: Final = "10.180.0.0/16"
NODE, BRIDGE, LAN = "192.168.0.2", "10.180.1.1", "192.168.0.1"
ENDPOINTS: Final = {
    "l1": "10.180.1.11",
    "l2": "10.180.1.12",
    "r1": "10.180.2.21",
    "r2": "10.180.2.22",
}
"""Endpoints on the node, and elsewhere."""
LOCAL: Final = ("l1", "l2")
SOURCES: Final = {
    "pod": ("pod", "10.180.1.5"),
    "l1": ("l1", ENDPOINTS["l1"]),
    "node": ("", ""),
    "localhost": ("", "127.0.0.1"),
    "client": ("lan", "192.168.0.100"),
    "allowed": ("lan", "203.0.113.7"),
    "other_node": ("lan", "192.168.0.3"),
    "remote_pod": ("lan", "10.180.2.5"),
}
"""Namespace and address of who sends; "" leaves the address to the routes."""
OUTSIDE: Final = [address for netns, address in SOURCES.values() if netns == "lan"]
REMOTE: Final = [address for name, address in ENDPOINTS.items() if name not in LOCAL]


def v6(text: str) -> str:
    """The IPv6 address or prefix that stands for an IPv4 one: its four numbers, written in hexadecimal groups."""
    if text in ("", "127.0.0.1"):
        return "::1" if text else ""
    address, slash, length = text.partition("/")
    groups = ":".join(address.split("."))
    if not slash:
        return str(ipaddress.ip_address(f"fd00::{groups}"))
    return str(ipaddress.ip_network(f"fd00::{groups}/{128 - (32 - int(length)) * 2}", strict=False))


def of(family: Family, text: str) -> str:
    """An address or prefix of the plan in a family."""
    return v6(text) if family == "ipv6" else text


def host(family: Family, text: str, length: int) -> str:
    """An interface's address: the address with the length of its network, given as IPv4's."""
    return f"{v6(text)}/{128 - (32 - length) * 2}" if family == "ipv6" else f"{text}/{length}"
