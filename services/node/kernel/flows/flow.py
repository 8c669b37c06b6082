"""A cached flow of IPv4: which packets are its own, where they go, and how their bytes change on the way."""

import struct
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.checksum import checksum_delta
from podwire.proto.packet.ipv4 import ICMP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.flows.recording import FOREVER, Recording
from podwire.services.node.kernel.flows.shapes import FRAME, TUNNEL

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.flows.cache import FlowCache
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet
    from podwire.services.node.kernel.sockets.udp import UdpSocket

ENDS_FLOW: Final = 0x07
"""FIN, SYN, RST."""
_CHECKSUM_AT: Final = {UDP: 6, TCP: 16, ICMP: 2, ICMPV6: 2}
_INNER: Final = struct.Struct("!8s2sH")
_FRAME: Final = struct.Struct("!14s8s2sH")
_OUTER: Final = struct.Struct("!16sHH4sH12sHH22s8s2sH")
_number = int.from_bytes


class Flow:
    """Made from a recording by `learn`; `device` or `namespace` says where its packets end."""

    header: ClassVar = 20
    """Bytes of the IP header."""
    __slots__ = (
        "addresses",
        "at",
        "cache",
        "checksum_at",
        "connections",
        "counters",
        "device",
        "endpoint",
        "entry",
        "head",
        "hits",
        "idle",
        "ip_delta",
        "is_moved",
        "is_verified",
        "key",
        "last_used",
        "longest",
        "model",
        "namespace",
        "octets",
        "outer_addresses",
        "outer_fixed",
        "outer_head",
        "outer_sum",
        "outer_tail",
        "payload_at",
        "protocol",
        "pseudo_sum",
        "refreshes",
        "shape",
        "socket",
        "sockets_version",
        "transport_delta",
        "ttl_protocol",
        "underlay",
        "valid_until",
    )

    def __init__(self, cache: "FlowCache", recording: Recording, now: int) -> None:
        self.cache = cache
        self.shape, self.entry, self.key = recording.shape, recording.entry, recording.key
        self.at, self.protocol = self.shape.at, self.shape.protocol
        self.longest = recording.maximum + self.at
        self.valid_until = recording.valid_until
        self.connections = tuple((each, each.timeout) for each in recording.connections)
        self.idle = min((timeout for _, timeout in self.connections), default=FOREVER)
        self.refreshes = tuple(recording.refreshes)
        self.underlay = recording.underlay
        self.hits = self.octets = 0
        self.last_used = now
        first, at = recording.first, self.at
        core = len(first) - at
        self.counters = tuple((counter, length - core) for counter, length in recording.counters)
        self.payload_at = at + self.header + 8
        """Of a datagram."""
        self.checksum_at = at + self.header + _CHECKSUM_AT[self.protocol]
        self.is_verified = bool(at and self.connections)
        """Connection tracking verifies what comes from outside."""
        self.device: Device | None = None
        self.namespace: Namespace | None = None
        self.model: Packet | None = None
        self.socket: UdpSocket | None = None
        self.sockets_version = -1
        self.endpoint = ("", 0, "")
        """Source and destination, as a receiving socket is told."""
        self.outer_sum = 0
        self.outer_fixed = self.outer_tail = b""

    def learn(self, first: bytes, core: bytes, head: bytes) -> None:
        """Derive the template: `core` is the inner IP packet as it left, `head` the link header before it."""
        at = self.at
        self.head, self.ttl_protocol = head, core[8:10]
        self.pseudo_sum = _number(first[at + 12 : at + 20]) + self.protocol if self.protocol != ICMP else 0
        was = _number(first[at + 8 : at + 10]) + _number(first[at + 12 : at + 20])
        self.ip_delta = checksum_delta(was, _number(core[8:10]) + _number(core[12:20]))
        end = 20 if self.protocol == ICMP else 24
        before, self.addresses = first[at + 12 : at + end], core[12:end]
        self.is_moved = before != self.addresses
        self.transport_delta = checksum_delta(_number(before), _number(self.addresses))

    def learn_outer(self, frame: bytes) -> None:
        """Take the headers of the tunnel from the first frame."""
        self.outer_sum = _number(frame[14:16]) + _number(frame[20:24]) + _number(frame[26:34])
        self.outer_fixed, self.outer_tail = frame[:16] + frame[20:24] + frame[26:38], frame[42:64]

    def accepts(self, value: int, octets: bytes, count: int, now: int) -> bool:
        """Whether a packet with this flow's key is sound, in time, and not too long; `count` is its length."""
        shape, at = self.shape, self.at
        if now >= self.valid_until or now - self.last_used >= self.idle or count > self.longest:
            return False
        if value & shape.lengths != count * shape.factor - shape.base:
            return False
        if at and _number(octets[at : at + 20]) % 0xFFFF:
            return False
        if at > FRAME and _number(octets[FRAME : FRAME + 20]) % 0xFFFF:
            return False
        if self.protocol == TCP and octets[at + 33] & ENDS_FLOW:
            return False
        return not self.is_verified or self.is_sound(octets, count)

    def is_sound(self, octets: bytes, count: int) -> bool:
        """Whether the checksum of UDP, TCP or ICMP is right."""
        at = self.at
        if self.protocol == UDP and octets[at + 26 : at + 28] == b"\0\0":
            return True
        total = _number(octets[at + 20 :]) << (count - at & 1) * 8
        if self.protocol != ICMP:
            total += self.pseudo_sum + count - at - 20
        return total > 0 and not total % 0xFFFF

    def packet(self, octets: bytes) -> bytes:
        """The inner IP packet as it leaves."""
        at = self.at
        return _INNER.pack(octets[at : at + 8], self.ttl_protocol, self._checksum(octets)) + self._rest(octets)

    def frame(self, octets: bytes, count: int) -> bytes:
        """The frame that leaves the machine."""
        at, underlay = self.at, self.underlay
        if underlay is not None:
            return self.tunnelled(octets, count, underlay.next_identification())
        head = _FRAME.pack(self.head, octets[at : at + 8], self.ttl_protocol, self._checksum(octets))
        return head + self._rest(octets)

    def tunnelled(self, octets: bytes, count: int, identification: int) -> bytes:
        """The frame that leaves the machine, with a tunnel's headers."""
        at, fixed = self.at, self.outer_fixed
        total = count - at + TUNNEL
        outer = _OUTER.pack(
            fixed,
            total,
            identification,
            fixed[16:20],
            0xFFFF - ((self.outer_sum + total + identification) % 0xFFFF or 0xFFFF),
            fixed[20:],
            total - 20,
            0,
            self.outer_tail,
            octets[at : at + 8],
            self.ttl_protocol,
            self._checksum(octets),
        )
        return outer + self._rest(octets)

    def _checksum(self, octets: bytes) -> int:
        at = self.at + 10
        return 0xFFFF - ((0xFFFF - _number(octets[at : at + 2]) + self.ip_delta) % 0xFFFF or 0xFFFF)

    def _rest(self, octets: bytes) -> bytes:
        """Everything from the addresses on."""
        at = self.at
        if not self.is_moved:
            return octets[at + 12 :]
        if self.protocol == ICMP:
            return self.addresses + octets[at + 20 :]
        where = self.checksum_at
        checksum = octets[where : where + 2]
        if self.protocol == TCP or checksum != b"\0\0":
            moved = 0xFFFF - ((0xFFFF - _number(checksum) + self.transport_delta) % 0xFFFF or 0xFFFF)
            checksum = (moved or (0 if self.protocol == TCP else 0xFFFF)).to_bytes(2)
        return b"%b%b%b%b" % (self.addresses, octets[at + 24 : where], checksum, octets[where + 2 :])

    def repeats(self, first: bytes, frame: bytes) -> bool:
        """Whether the template makes of the first packet the frame that it left in."""
        if self.underlay is None:
            return self.packet(first) == frame[FRAME:]
        return self.tunnelled(first, len(first), _number(frame[18:20])) == frame

    def kill(self) -> None:
        """Take the flow out of the cache; its tallies are carried over."""
        self.cache.retire(self)

    def settle(self) -> None:
        """Carry the tallies over to the counters, connections and learned entries."""
        hits, octets = self.hits, self.octets
        if not hits:
            return
        self.hits = self.octets = 0
        for counter, extra in self.counters:
            counter.packets += hits
            counter.bytes += octets + hits * extra
        for connection, timeout in self.connections:
            connection.expires = max(connection.expires, self.last_used + timeout)
        for entry in self.refreshes:
            entry.updated = max(entry.updated, self.last_used)
