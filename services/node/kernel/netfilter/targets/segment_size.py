"""TCPMSS: lower the maximum segment size that a SYN announces (net/netfilter/xt_TCPMSS.c)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.checksum import updated_checksum
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.proto.packet.ipv4 import TCP
from podwire.services.node.kernel.fib import Selector
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import CONTINUE, DROP, Target
from podwire.services.node.kernel.netfilter.words import parse_number
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

KIND, LENGTH = 2, 4
"""The option (RFC 9293 section 3.7.1)."""
LONGEST_HEADER: Final = 60
LARGEST, CLAMP = 65515, -1
DEFAULTS: Final = {False: 536, True: 1220}
"""What a SYN without the option means, by whether it is IPv6 (RFC 1122 section 4.2.2.6, RFC 8200 section 8.3)."""


class SegmentSize(Target):
    """Never raises a size; a SYN without one is given one, unless it carries data."""

    name = "TCPMSS"
    options: ClassVar = {"set-mss": 1, "clamp-mss-to-pmtu": 0}
    protocols = (TCP,)

    def __init__(self) -> None:
        self.size: int | None = None

    def accept(self, option: str, values: Sequence[str]) -> None:
        if self.size is not None:
            raise NetfilterError("TCPMSS: option --set-mss cannot be used together with --clamp-mss-to-pmtu.")
        self.size = _parse_size(values[0]) if values else CLAMP
        if not values:
            self.hooks = ("FORWARD", "OUTPUT", "POSTROUTING")

    def finish(self) -> None:
        if self.size is None:
            raise NetfilterError("TCPMSS target: At least one parameter is required")

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        if packet.fragment & 0x1FFF:
            return CONTINUE
        length = len(packet.payload)
        header = (packet.payload[12] >> 4) * 4 if length >= 20 else 0
        size = _path_size(packet, at) if self.size == CLAMP else self.size
        if size is None or not 20 <= header <= length:
            return DROP
        packet.recording = None
        at_option = _find_option(packet.payload[:header])
        if at_option is not None:
            _lower(packet, packet.header_length + at_option + 2, size)
        elif length == header and header < LONGEST_HEADER:
            _insert(packet, min(size, DEFAULTS[packet.ethertype == TYPE_IPV6]))
        return CONTINUE

    def save(self) -> str:
        return "--clamp-mss-to-pmtu" if self.size == CLAMP else f"--set-mss {self.size}"

    def describe(self) -> str:
        return "TCPMSS clamp to PMTU" if self.size == CLAMP else f"TCPMSS set {self.size}"


def _parse_size(text: str) -> int:
    try:
        return parse_number(text, 0, LARGEST, "")
    except NetfilterError:
        message = f'TCPMSS: bad value for option "--set-mss", or out of range (0-{LARGEST}).'
        raise NetfilterError(message) from None


def _path_size(packet: Packet, at: "Evaluation") -> int | None:
    """What the ways there and back let through, less the headers; None if that is nothing."""
    back = at.namespace.fib_for(packet.source).select(Selector(packet.source))
    devices = (packet.out_device, back.device if back is not None else None)
    mtu = min((device.mtu for device in devices if device is not None), default=0)
    size = mtu - (60 if packet.ethertype == TYPE_IPV6 else 40)
    return size if size > 0 else None


def _find_option(header: memoryview) -> int | None:
    at = 20
    while at <= len(header) - LENGTH:
        if header[at] == KIND and header[at + 1] == LENGTH:
            return at
        at += 1 if header[at] <= 1 or header[at + 1] == 0 else header[at + 1]
    return None


def _lower(packet: Packet, at: int, size: int) -> None:
    old = int.from_bytes(packet.data[at : at + 2])
    if old > size:
        packet.data[at : at + 2] = size.to_bytes(2)
        odd = (at - packet.header_length) & 1
        _sum(packet, old << 8 * odd, size << 8 * odd)


def _insert(packet: Packet, size: int) -> None:
    option = bytes([KIND, LENGTH, *size.to_bytes(2)])
    at = packet.header_length
    packet.data[at + 20 : at + 20] = option
    packet.data[at + 12] += 0x10
    words = int.from_bytes(option[:2]) + size
    _sum(packet, 0, words + LENGTH + 0x1000)  # the pseudo-header's length, and the data offset, too
    packet.lengthen(LENGTH)


def _sum(packet: Packet, old: int, new: int) -> None:
    at = packet.header_length + 16
    checksum = int.from_bytes(packet.data[at : at + 2])
    packet.data[at : at + 2] = updated_checksum(checksum, old, new).to_bytes(2)
