"""Zones and the names in them (CoreDNS, plugin/normalize.go and plugin/pkg/fall)."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from podwire.services.coredns.core.corefile import absolute

ROOT = "."


def is_below(zone: str, name: str) -> bool:
    """Whether a name is the zone's own or below it; both in lower case with their final dots."""
    return zone == ROOT or name == zone or name.endswith(f".{zone}")


def matching(zones: Iterable[str], name: str) -> str:
    """The longest of the zones that a name lies in ("" for none)."""
    return max((zone for zone in zones if is_below(zone, name)), key=len, default="")


def without_zone(name: str, zone: str) -> str:
    """The part of a name before its zone, without a final dot ("" for the zone itself)."""
    return name.removesuffix(".") if zone == ROOT else name.removesuffix(zone).removesuffix(".")


def normalized(text: str) -> str:
    """A zone as a Corefile writes it; networks such as 10.96.0.0/16 become their reverse zone.

    Raises ValueError for a network whose length is not that of whole labels.
    """
    if "/" not in text:
        return absolute(text)
    network = ipaddress.ip_network(text, strict=False)
    step = 8 if network.version == 4 else 4
    if network.prefixlen % step:
        raise ValueError(f"{text}: a prefix length in steps of {step} is needed")
    labels = network.network_address.reverse_pointer.split(".")
    return absolute(".".join(labels[(network.max_prefixlen - network.prefixlen) // step :]))


@dataclass(frozen=True, slots=True)
class Fallthrough:
    """For which zones a plugin hands on the names that it does not have."""

    zones: tuple[str, ...] = ()

    def passes(self, name: str) -> bool:
        """Whether the next plugin is to be asked."""
        return any(is_below(zone, name) for zone in self.zones)


def fallthrough(arguments: Iterable[str]) -> Fallthrough:
    """What `fallthrough [ZONES…]` says: all zones if none is named."""
    return Fallthrough(tuple(normalized(zone) for zone in arguments) or (ROOT,))
