"""A cached flow of IPv6: no checksum in the header, one in every transport header, and in that of a tunnel."""

from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.checksum import checksum_delta
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.flows.flow import ENDS_FLOW, Flow
from podwire.services.node.kernel.flows.shapes import FRAME, TUNNEL6

if TYPE_CHECKING:
    pass

_UDP_AT: Final = FRAME + 40
"""Where a tunnel's UDP header stands in a frame."""
_number = int.from_bytes


class Flow6(Flow):
    """The same as for IPv4, by IPv6's header (RFC 8200 section 3)."""

    __slots__ = ()
    header: ClassVar = 40

    def learn(self, first: bytes, core: bytes, head: bytes) -> None:
        """Derive the template: `core` is the inner IP packet as it left, `head` the link header before it."""
        at = self.at
        self.head, self.ttl_protocol = head, core[6:8]
        self.pseudo_sum = _number(first[at + 8 : at + 40]) + self.protocol
        end = 40 if self.protocol == ICMPV6 else 44
        before, self.addresses = first[at + 8 : at + end], core[8:end]
        self.is_moved = before != self.addresses
        self.transport_delta = checksum_delta(_number(before), _number(self.addresses))

    def learn_outer(self, frame: bytes) -> None:
        """Take the headers of the tunnel from the first frame."""
        self.outer_fixed, self.outer_tail = frame[:FRAME], frame[_UDP_AT + 8 : FRAME + TUNNEL6]
        self.outer_head, self.outer_addresses = frame[FRAME : FRAME + 4], frame[FRAME + 6 : _UDP_AT + 4]
        self.outer_sum = _number(frame[FRAME + 8 : _UDP_AT + 4]) + UDP + _number(self.outer_tail)

    def accepts(self, value: int, octets: bytes, count: int, now: int) -> bool:
        """Whether a packet with this flow's key is sound, in time, and not too long; `count` is its length."""
        shape, at = self.shape, self.at
        if now >= self.valid_until or now - self.last_used >= self.idle or count > self.longest:
            return False
        if value & shape.lengths != count * shape.factor - shape.base:
            return False
        if self.protocol == TCP and octets[at + 53] & ENDS_FLOW:
            return False
        if at > FRAME and not _is_sound_outside(octets, count):
            return False
        return not self.is_verified or self.is_sound(octets, count)

    def is_sound(self, octets: bytes, count: int) -> bool:
        """Whether the checksum of UDP, TCP or ICMPv6 is right; UDP must have one (RFC 8200 section 8.1)."""
        at = self.at
        if self.protocol == UDP and octets[at + 46 : at + 48] == b"\0\0":
            return False
        length = count - at - 40
        return not ((_number(octets[at + 40 :]) << (length & 1) * 8) + self.pseudo_sum + length) % 0xFFFF

    def packet(self, octets: bytes) -> bytes:
        """The inner IP packet as it leaves."""
        return octets[self.at : self.at + 6] + self.ttl_protocol + self._rest(octets)

    def frame(self, octets: bytes, count: int) -> bytes:
        """The frame that leaves the machine."""
        if self.underlay is not None:
            return self.tunnelled(octets, count, 0)
        at = self.at
        return b"%b%b%b%b" % (self.head, octets[at : at + 6], self.ttl_protocol, self._rest(octets))

    def tunnelled(self, octets: bytes, count: int, identification: int) -> bytes:
        """The frame that leaves the machine, with a tunnel's headers (there is no identification)."""
        core = self.packet(octets)
        length = count - self.at + TUNNEL6 - 40
        total = self.outer_sum + 2 * length + (_number(core) << (length & 1) * 8)
        return b"%b%b%b%b%b%b%b%b" % (
            self.outer_fixed,
            self.outer_head,
            length.to_bytes(2),
            self.outer_addresses,
            length.to_bytes(2),
            (0xFFFF - total % 0xFFFF).to_bytes(2),
            self.outer_tail,
            core,
        )

    def _rest(self, octets: bytes) -> bytes:
        """Everything from the addresses on."""
        at, where = self.at, self.checksum_at
        if not self.is_moved:
            return octets[at + 8 :]
        checksum = octets[where : where + 2]
        if self.protocol != UDP or checksum != b"\0\0":
            moved = 0xFFFF - ((0xFFFF - _number(checksum) + self.transport_delta) % 0xFFFF or 0xFFFF)
            checksum = (moved or (0xFFFF if self.protocol == UDP else 0)).to_bytes(2)
        return b"%b%b%b%b" % (
            self.addresses,
            octets[at + 8 + len(self.addresses) : where],
            checksum,
            octets[where + 2 :],
        )

    def repeats(self, first: bytes, frame: bytes) -> bool:
        """Whether the template makes of the first packet the frame that it left in."""
        return self.frame(first, len(first)) == frame


def _is_sound_outside(octets: bytes, count: int) -> bool:
    """Whether a tunnel's UDP checksum is right."""
    if octets[_UDP_AT + 6 : _UDP_AT + 8] == b"\0\0":
        return False
    length = count - _UDP_AT
    total = _number(octets[FRAME + 8 : _UDP_AT]) + UDP + length
    return not ((_number(octets[_UDP_AT:]) << (length & 1) * 8) + total) % 0xFFFF
