"""One set: its elements with their time, counters and comments, and whether a packet is in it."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

from podwire.proto.packet.addresses import IPV6
from podwire.proto.packet.ethernet import TYPE_IPV4
from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.netfilter.ipset.elements import Element, bits_of
from podwire.services.node.kernel.netfilter.ipset.kinds import IpsetError, Kind
from podwire.services.node.kernel.packet import Packet

SECOND: Final = 1_000_000_000
UDPLITE: Final = 136


class Entry:
    """What is kept with an element. `expires` is ns, None for never."""

    __slots__ = ("comment", "counter", "expires", "nomatch")

    def __init__(self, expires: int | None = None, comment: str = "", *, nomatch: bool = False) -> None:
        self.expires = expires
        self.comment = comment
        self.nomatch = nomatch
        self.counter = Counter()

    def lives(self, now: int) -> bool:
        """Whether its time is not over."""
        return self.expires is None or self.expires > now


class IpSet:
    """A set. `timeout` is the default in seconds (0: for ever), None if elements have no time at all."""

    def __init__(self, name: str, kind: Kind, family: str = "inet") -> None:
        self.name = name
        self.kind = kind
        self.family = family
        self.hashsize = 1024
        self.maxelem = 65536
        self.bucketsize = 12
        self.initval = 0
        self.netmask = bits_of(family)
        self.size = 8
        self.range = (0, 65535)
        self.timeout: int | None = None
        self.counters = self.comment = False
        self.entries: dict[Element, Entry] = {}
        self.members: dict[str, Entry] = {}
        self._lengths: tuple[dict[int, int], ...] = tuple({} for _ in kind.parts)

    def emptied(self) -> None:
        """Take everything out."""
        self.entries.clear()
        self.members.clear()
        self._lengths = tuple({} for _ in self.kind.parts)

    def live(self, now: int) -> dict[Element, Entry]:
        """The elements whose time is not over; the others are forgotten."""
        for element in [each for each, entry in self.entries.items() if not entry.lives(now)]:
            self.remove(element)
        return self.entries

    def live_members(self, now: int) -> dict[str, Entry]:
        """The same for a list of sets."""
        for name in [each for each, entry in self.members.items() if not entry.lives(now)]:
            del self.members[name]
        return self.members

    def normalized(self, element: Element) -> Element:
        """The element as it is kept: addresses under the netmask, ports of a bitmap without a protocol."""
        if self.kind.name == "bitmap:port":
            if not self.range[0] <= element[0][1] <= self.range[1]:
                raise IpsetError("Element is out of the range of the set")
            return ((0, element[0][1]),)
        bits = bits_of(self.family)
        if self.kind.name == "hash:ip" and self.netmask < bits:
            shift = bits - self.netmask
            return ((element[0][0] >> shift << shift, bits),)
        return element

    def put(self, element: Element, entry: Entry, now: int) -> None:
        """Add an element or replace what is kept with it; IpsetError if there is no room."""
        if element not in self.entries:
            hashed = self.kind.name != "bitmap:port"
            if hashed and len(self.entries) >= self.maxelem and len(self.live(now)) >= self.maxelem:
                raise IpsetError("Hash is full, cannot add more elements")
            for lengths, (_, length) in zip(self._lengths, element, strict=True):
                lengths[length] = lengths.get(length, 0) + 1
        self.entries[element] = entry

    def remove(self, element: Element) -> bool:
        """Take an element out; false if it is not there."""
        if self.entries.pop(element, None) is None:
            return False
        for lengths, (_, length) in zip(self._lengths, element, strict=True):
            lengths[length] -= 1
            if not lengths[length]:
                del lengths[length]
        return True

    def find(self, element: Element, now: int) -> Entry | None:
        """The entry that an element of whole addresses falls under, the narrowest network first."""
        for candidate in self._candidates(element):
            entry = self.entries.get(candidate)
            if entry is not None and entry.lives(now):
                return entry
        return None

    def _candidates(self, element: Element) -> Iterator[Element]:
        if "net" not in self.kind.parts:
            yield element
            return
        bits = bits_of(self.family)
        choices = [
            [(address >> (bits - length) << (bits - length), length) for length in sorted(lengths, reverse=True)]
            if part == "net"
            else [(address, second)]
            for part, lengths, (address, second) in zip(self.kind.parts, self._lengths, element, strict=True)
        ]
        yield from product(*choices)

    def match(self, packet: Packet, directions: tuple[str, ...], sets: Mapping[str, "IpSet"], now: int) -> Entry | None:
        """The entry that a packet hits, exceptions not counted; None if it is not in the set."""
        if self.kind.name == "list:set":
            for name, member in self.members.items():
                found = sets[name].match(packet, directions, sets, now) if member.lives(now) and name in sets else None
                if found is not None:
                    return found
            return None
        element = self._element_of(packet, directions)
        entry = None if element is None else self.find(element, now)
        return None if entry is None or entry.nomatch else entry

    def _element_of(self, packet: Packet, directions: tuple[str, ...]) -> Element | None:
        """What to look up; None if the packet has no such parts, or too few directions are given."""
        if len(directions) < len(self.kind.parts):
            return None
        if self.kind.name == "bitmap:port":
            with_port = packet.protocol in (TCP, UDP) and not packet.fragment & 0x1FFF
            port = packet.source_port if directions[0] == "src" else packet.destination_port
            return ((0, port),) if with_port else None
        if (packet.ethertype == TYPE_IPV4) != (self.family == "inet"):
            return None
        parts = []
        for part, direction in zip(self.kind.parts, directions, strict=False):
            pair = _port_of(packet, direction) if part == "port" else _address_of(packet, direction, self.family)
            if pair is None:
                return None
            parts.append(pair)
        return self.normalized(tuple(parts))


def _address_of(packet: Packet, direction: str, family: str) -> tuple[int, int]:
    address = packet.source if direction == "src" else packet.destination
    return (address ^ IPV6 if family == "inet6" else address, bits_of(family))


def _port_of(packet: Packet, direction: str) -> tuple[int, int] | None:
    """Protocol and port, or ICMP type and code (ip_set_get_ip4_port)."""
    if packet.fragment & 0x1FFF:
        return None
    if packet.protocol in (TCP, UDP, SCTP, UDPLITE):
        return packet.protocol, packet.source_port if direction == "src" else packet.destination_port
    payload = packet.payload
    if packet.protocol == ICMP and len(payload) >= 2:
        return packet.protocol, payload[0] << 8 | payload[1]
    return (packet.protocol, 0) if packet.protocol != ICMP else None
