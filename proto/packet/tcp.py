"""TCP headers (RFC 9293) and the options in everyday use (MSS, window scale, SACK permitted, timestamps)."""

import struct
from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.checksum import transport_checksum
from podwire.proto.packet.errors import PacketError, require
from podwire.proto.packet.ipv4 import TCP as PROTOCOL

MINIMUM_HEADER: Final = 20
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
_FORMAT: Final = struct.Struct("!HHIIHHHH")
_END, _NOP, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _TIMESTAMPS = 0, 1, 2, 3, 4, 8
_LENGTHS: Final = {_MSS: 4, _WINDOW_SCALE: 3, _SACK_PERMITTED: 2, _TIMESTAMPS: 10}


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP header. `timestamps` is (value, echo reply); options that are not named here are dropped."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int = 0
    flags: int = 0
    window: int = 0
    urgent: int = 0
    checksum: int = 0
    maximum_segment_size: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None

    @classmethod
    def parse(cls, octets: bytes | memoryview, offset: int = 0) -> tuple["Tcp", int]:
        """The header at `offset` and where the payload begins; PacketError if its lengths lie."""
        require(octets, offset, MINIMUM_HEADER, "TCP header")
        source, destination, sequence, acknowledgement, bits, window, checksum, urgent = _FORMAT.unpack_from(
            octets, offset
        )
        length = (bits >> 12) * 4
        if length < MINIMUM_HEADER:
            raise PacketError(f"bad TCP data offset: {length}")
        require(octets, offset, length, "TCP options")
        options = _parse_options(bytes(octets[offset + MINIMUM_HEADER : offset + length]))
        header = cls(source, destination, sequence, acknowledgement, bits & 0xFF, window, urgent, checksum, *options)
        return header, offset + length

    def build(self) -> bytes:
        """The header bytes as they stand, options padded to a multiple of four."""
        options = self._build_options()
        bits = (MINIMUM_HEADER + len(options)) // 4 << 12 | self.flags
        fixed = _FORMAT.pack(
            self.source_port,
            self.destination_port,
            self.sequence,
            self.acknowledgement,
            bits,
            self.window,
            self.checksum,
            self.urgent,
        )
        return fixed + options

    def _build_options(self) -> bytes:
        options = b""
        if self.maximum_segment_size is not None:
            options += struct.pack("!BBH", _MSS, 4, self.maximum_segment_size)
        if self.sack_permitted:
            options += bytes((_SACK_PERMITTED, 2))
        if self.timestamps is not None:
            options += struct.pack("!BBII", _TIMESTAMPS, 10, *self.timestamps)
        if self.window_scale is not None:
            options += bytes((_NOP, _WINDOW_SCALE, 3, self.window_scale))
        return options + bytes((_NOP,)) * (-len(options) % 4)


type _Options = tuple[int | None, int | None, bool, tuple[int, int] | None]


def _parse_options(octets: bytes) -> _Options:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(octets) and octets[at] != _END:
        if octets[at] == _NOP:
            at += 1
            continue
        if at + 1 >= len(octets) or octets[at + 1] < 2 or at + octets[at + 1] > len(octets):
            raise PacketError("bad TCP option length")
        kind, length = octets[at], octets[at + 1]
        if _LENGTHS.get(kind, length) != length:
            raise PacketError(f"bad length of TCP option {kind}")
        found[kind] = octets[at + 2 : at + length]
        at += length
    return (
        int.from_bytes(found[_MSS]) if _MSS in found else None,
        found[_WINDOW_SCALE][0] if _WINDOW_SCALE in found else None,
        _SACK_PERMITTED in found,
        struct.unpack("!II", found[_TIMESTAMPS]) if _TIMESTAMPS in found else None,
    )


def build_segment(source: int, destination: int, header: Tcp, payload: bytes = b"") -> bytes:
    """Header bytes with a right checksum under the IPv4 pseudo-header, and the payload."""
    segment = bytearray(header.build() + payload)
    segment[16:18] = b"\0\0"
    segment[16:18] = transport_checksum(source, destination, PROTOCOL, segment).to_bytes(2)
    return bytes(segment)
