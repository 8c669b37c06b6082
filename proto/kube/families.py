"""IP families by the API's names (core/v1 IPFamily), and which of them an address or a network is of."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

IPV4: Final = "IPv4"
IPV6: Final = "IPv6"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(4096)
def family_of(text: str) -> str:
    """The family of an address or a network; "" of text that is neither."""
    try:
        return IPV6 if ipaddress.ip_interface(text).version == 6 else IPV4
    except ValueError:
        return ""


def of_family(texts: Iterable[str], family: str) -> str:
    """The first address or network of a family; "" where there is none."""
    return next((text for text in texts if family_of(text) == family), "")


def host_port(host: str, port: object) -> str:
    """`10.0.0.1:80`, `[fd00::1]:80` (Go's net.JoinHostPort)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a flag such as --cluster-cidr: one, or one of each family, the primary family's first.

    Raises ValueError that names the network.
    """
    found = tuple(ipaddress.ip_network(part) for part in text.split(","))
    if len(found) > 2 or len({network.version: None for network in found}) != len(found):
        raise ValueError(f"{text!r}: one network is needed, or one of each family")
    return found
