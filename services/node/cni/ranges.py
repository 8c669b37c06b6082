"""Range sets of the host-local IPAM plugin: the addresses that a network may give, a set for each address of a pod.

Source: containernetworking/plugins `plugins/ipam/host-local/backend/allocator/{config,range,range_set}.go`.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podwire.proto.kube.families import Network
from podwire.services.node.cni.plugin import INVALID_CONFIGURATION, CniError, Configuration


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses from `start` to `end` of a subnet, as numbers, without the gateway's."""

    subnet: Network
    start: int
    end: int
    gateway: int

    def text(self, number: int) -> str:
        """An address of the range."""
        return str(type(self.subnet.network_address)(number))

    def __contains__(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return parsed.version == self.subnet.version and self.start <= int(parsed) <= self.end

    def __str__(self) -> str:
        return f"{self.text(self.start)}-{self.text(self.end)}"


type RangeSet = tuple[Range, ...]


def range_sets(configuration: Configuration) -> tuple[RangeSet, ...]:
    """The sets of a configuration. Raises CniError that names the field."""
    try:
        given = [[_range(entry) for entry in entries] for entries in configuration["ipam"]["ranges"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CniError(f"host-local: invalid range set: {error}", INVALID_CONFIGURATION) from None
    if not given or not all(given):
        raise CniError("host-local: invalid range set: no IP ranges specified", INVALID_CONFIGURATION)
    return tuple(tuple(entries) for entries in given)


def _range(entry: Mapping[str, Any]) -> Range:
    subnet = ipaddress.ip_network(entry["subnet"])
    if subnet.num_addresses < 4:
        raise ValueError(f"Network {subnet} too small to allocate from")
    first, last = int(subnet.network_address) + 1, int(subnet.broadcast_address) - (1 if subnet.version == 4 else 0)
    start, end = (_bound(entry, name, subnet, bound) for name, bound in (("rangeStart", first), ("rangeEnd", last)))
    return Range(subnet, start, end, _bound(entry, "gateway", subnet, first))


def _bound(entry: Mapping[str, Any], name: str, subnet: Network, default: int) -> int:
    if not entry.get(name):
        return default
    address = ipaddress.ip_address(entry[name])
    if address not in subnet:
        raise ValueError(f"{name} {address} not in network {subnet}")
    return int(address)


def candidates(ranges: RangeSet, last: bytes | None) -> Iterator[tuple[str, Range]]:
    """Every address of a set once, going on after the one that was given last."""
    after = (last or b"").decode(errors="replace").strip()
    begin = next((index for index, each in enumerate(ranges) if after in each), 0)
    first = ranges[begin]
    start = int(ipaddress.ip_address(after)) + 1 if after in first else first.start
    yield from _span(first, start, first.end)
    for each in (*ranges[begin + 1 :], *ranges[:begin]):
        yield from _span(each, each.start, each.end)
    yield from _span(first, first.start, start - 1)


def _span(each: Range, start: int, end: int) -> Iterator[tuple[str, Range]]:
    return ((each.text(number), each) for number in range(start, end + 1) if number != each.gateway)
