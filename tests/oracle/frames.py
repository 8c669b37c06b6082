"""What of a frame must be the same in both worlds, and how to show one that is not."""

from typing import Final

from tests.oracle.worlds import Arrival

from podwire.proto.packet.addresses import ipv6_number
from podwire.proto.packet.checksum import internet_checksum, transport_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.icmp import ERRORS
from podwire.proto.packet.ipv6 import ICMPV6, find_upper
from podwire.proto.packet.summary import summarize_frame

IDENTIFICATION: Final = 0x1234
"""What every sent IPv4 packet carries; another one was made by a machine on the way."""
TIMESTAMP_REPLY: Final = 14
ECHOES: Final = (0, 8)
IDENTIFIER: Final = 7
"""What every sent echo carries; another one was chosen by NAT."""
MASK: Final = 0xAAAA


def comparable(arrivals: list[Arrival]) -> list[Arrival]:
    """IP frames with what the machines chose freely masked, by place; order counts within a place."""
    kept = [Arrival(each.netns, each.device, _masked(each.frame)) for each in arrivals if _is_ours(each.frame)]
    return sorted(kept, key=lambda each: (each.netns, each.device))


def _is_ours(frame: bytes) -> bool:
    ethertype = int.from_bytes(frame[12:14])
    if ethertype == TYPE_IPV6:
        return not (_upper_protocol(frame) == ICMPV6 and 130 <= frame[54 + _extension(frame)] <= 143)
    return ethertype == TYPE_IPV4


def _upper_protocol(frame: bytes) -> int:
    try:
        return find_upper(frame[14:]).protocol
    except (PacketError, IndexError):
        return -1


def _extension(frame: bytes) -> int:
    return find_upper(frame[14:]).at - 40


def _masked(frame: bytes) -> bytes:
    octets = bytearray(frame)
    if octets[12:14] == b"\x08\x00":
        _mask4(octets, 14)
        if is_icmp_error(frame):
            _mask_quoted(octets)
        elif frame[23] == 1 and frame[34] in ECHOES and frame[38:40] != IDENTIFIER.to_bytes(2):
            octets[36:40] = bytes(4)
        elif frame[23] == 1 and frame[34] == TIMESTAMP_REPLY:
            octets[36:38] = bytes(2)
            octets[46:54] = bytes(8)
    else:
        _mask6(octets)
    return bytes(octets)


def _mask4(octets: bytearray, at: int) -> None:
    """A packet made on the way: its identification is that machine's own count."""
    if len(octets) < at + 20 or octets[at + 4 : at + 6] == IDENTIFICATION.to_bytes(2):
        return
    length = (octets[at] & 15) * 4
    octets[at + 4 : at + 6] = MASK.to_bytes(2)
    octets[at + 10 : at + 12] = b"\0\0"
    octets[at + 10 : at + 12] = internet_checksum(octets[at : at + length]).to_bytes(2)


def _mask_quoted(octets: bytearray) -> None:
    """The same for the packet that an ICMP error quotes; the message's checksum follows."""
    before = bytes(octets)
    _mask4(octets, 42)
    if octets[51] == 1 and len(octets) > 68 and octets[62] in ECHOES and octets[66:68] != IDENTIFIER.to_bytes(2):
        octets[64:68] = bytes(4)
    if octets[51] == 1 and octets[62:63] == bytes((TIMESTAMP_REPLY,)):
        octets[64:66] = bytes(2)
        octets[74:82] = bytes(8)
    if octets != before:
        octets[36:38] = b"\0\0"
        octets[36:38] = internet_checksum(octets[34:]).to_bytes(2)


def _mask6(octets: bytearray) -> None:
    """Flow labels are chosen by whoever sends, identifications of fragments too."""
    octets[15:18] = bytes((octets[15] & 0xF0, 0, 0))
    try:
        upper = find_upper(octets[14:])
    except (PacketError, IndexError):
        return
    if upper.protocol == ICMPV6 and octets[14 + upper.at] < 128 and len(octets) >= 14 + upper.at + 12:
        _mask_quoted6(octets, 14 + upper.at)
    if upper.fragment_at:
        octets[14 + upper.fragment_at + 4 : 14 + upper.fragment_at + 8] = bytes(4)


def _mask_quoted6(octets: bytearray, at: int) -> None:
    """The flow label of the packet that an ICMPv6 error quotes; the message's checksum follows."""
    octets[at + 9 : at + 12] = bytes((octets[at + 9] & 0xF0, 0, 0))
    octets[at + 2 : at + 4] = b"\0\0"
    ends = ipv6_number(octets[22:38]), ipv6_number(octets[38:54])
    octets[at + 2 : at + 4] = transport_checksum(*ends, ICMPV6, octets[at:]).to_bytes(2)


def is_icmp_error(frame: bytes) -> bool:
    """Whether a frame is an ICMP error."""
    return frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] in ERRORS


def show(arrivals: list[Arrival]) -> str:
    """The arrivals, one a line."""
    return (
        "".join(f"    {each.netns}: {summarize_frame(each.frame)}  {each.frame.hex()}\n" for each in arrivals)
        or "    -\n"
    )
