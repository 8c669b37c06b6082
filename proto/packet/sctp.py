"""SCTP packets (RFC 9260 section 3): the common header with CRC32c, and chunks."""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from podwire.proto.packet.crc32c import crc32c
from podwire.proto.packet.errors import PacketError, require

HEADER_LENGTH: Final = 12
CHUNK_HEADER: Final = 4
DATA_HEADER: Final = 16
DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR = range(10)
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 10, 11, 14
NAMES: Final = {
    DATA: "DATA",
    INIT: "INIT",
    INIT_ACK: "INIT ACK",
    SACK: "SACK",
    HEARTBEAT: "HB REQ",
    HEARTBEAT_ACK: "HB ACK",
    ABORT: "ABORT",
    SHUTDOWN: "SHUTDOWN",
    SHUTDOWN_ACK: "SHUTDOWN ACK",
    ERROR: "OP ERR",
    COOKIE_ECHO: "COOKIE ECHO",
    COOKIE_ACK: "COOKIE ACK",
    SHUTDOWN_COMPLETE: "SHUTDOWN COMPLETE",
}
"""Chunk types in tcpdump's words (print-sctp.c)."""
TAG_REFLECTED: Final = 1
"""The T bit of ABORT and SHUTDOWN COMPLETE."""
ENDING, BEGINNING, UNORDERED = 1, 2, 4
"""The E, B and U bits of DATA."""
STATE_COOKIE: Final = 7
STALE_COOKIE, USER_ABORT, PROTOCOL_VIOLATION, NO_USER_DATA = 3, 12, 13, 9
_HEADER: Final = struct.Struct("!HHII")
_CHUNK: Final = struct.Struct("!BBH")
_INIT: Final = struct.Struct("!IIHHI")
_DATA: Final = struct.Struct("!IHHI")
_SACK: Final = struct.Struct("!IIHH")


class Chunk(NamedTuple):
    """One chunk; `value` is what follows its four-byte header, padding not included."""

    type: int
    flags: int = 0
    value: bytes = b""

    def build(self) -> bytes:
        """The chunk's bytes, padded to a multiple of four; PacketError if it is too long."""
        length = CHUNK_HEADER + len(self.value)
        if length > 0xFFFF:
            raise PacketError(f"SCTP chunk too long: {length}")
        return _CHUNK.pack(self.type, self.flags, length) + self.value + bytes(-length % 4)


class Sctp(NamedTuple):
    """A packet: the common header and its chunks."""

    source_port: int
    destination_port: int
    verification_tag: int
    chunks: tuple[Chunk, ...] = ()

    @classmethod
    def parse(cls, octets: bytes | memoryview, *, verify: bool = True) -> "Sctp":
        """A whole packet; PacketError if a length lies, there is no chunk, or the CRC32c is wrong."""
        require(octets, 0, HEADER_LENGTH, "SCTP header")
        source, destination, tag, checksum = _HEADER.unpack_from(octets)
        if verify and checksum != packet_checksum(octets):
            raise PacketError("bad SCTP checksum")
        chunks = tuple(parse_chunks(octets, HEADER_LENGTH))
        if not chunks:
            raise PacketError("SCTP packet without a chunk")
        return cls(source, destination, tag, chunks)

    def build(self) -> bytes:
        """The packet's bytes with the right CRC32c."""
        body = b"".join(chunk.build() for chunk in self.chunks)
        packet = bytearray(_HEADER.pack(self.source_port, self.destination_port, self.verification_tag, 0) + body)
        packet[8:12] = packet_checksum(packet).to_bytes(4)
        return bytes(packet)


def packet_checksum(octets: bytes | bytearray | memoryview) -> int:
    """The checksum field of a packet as a big-endian number, whatever stands there now."""
    zeroed = bytearray(octets)
    zeroed[8:12] = bytes(4)
    return int.from_bytes(crc32c(zeroed).to_bytes(4, "little"))


def parse_chunks(octets: bytes | memoryview, at: int) -> Iterable[Chunk]:
    """The chunks from `at` on; PacketError if a length lies. Missing padding after the last one is forgiven."""
    end = len(octets)
    while at < end:
        require(octets, at, CHUNK_HEADER, "SCTP chunk header")
        kind, flags, length = _CHUNK.unpack_from(octets, at)
        if length < CHUNK_HEADER or length > end - at:
            raise PacketError(f"bad SCTP chunk length: {length}")
        yield Chunk(kind, flags, bytes(octets[at + CHUNK_HEADER : at + length]))
        at += length + -length % 4


class Init(NamedTuple):
    """The body of INIT and INIT ACK: `parameters` are (type, value) pairs, of which the state cookie is one."""

    tag: int
    window: int
    outbound_streams: int
    inbound_streams: int
    first_tsn: int
    parameters: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> "Init":
        """The body of a chunk; PacketError if it is truncated or a parameter's length lies."""
        require(value, 0, _INIT.size, "SCTP INIT")
        tag, window, outbound, inbound, tsn = _INIT.unpack_from(value)
        return cls(tag, window, outbound, inbound, tsn, tuple(_parse_parameters(value, _INIT.size)))

    def build(self) -> bytes:
        """The body's bytes."""
        parameters = b"".join(build_parameter(kind, value) for kind, value in self.parameters)
        return _INIT.pack(*self[:5]) + parameters

    @property
    def cookie(self) -> bytes | None:
        """The state cookie, None if there is none."""
        return next((value for kind, value in self.parameters if kind == STATE_COOKIE), None)


def build_parameter(kind: int, value: bytes) -> bytes:
    """A parameter of INIT, or an error cause: both have the same form, padded to a multiple of four."""
    length = 4 + len(value)
    return struct.pack("!HH", kind, length) + value + bytes(-length % 4)


def _parse_parameters(octets: bytes, at: int) -> Iterable[tuple[int, bytes]]:
    while at < len(octets):
        require(octets, at, 4, "SCTP parameter")
        kind, length = struct.unpack_from("!HH", octets, at)
        if length < 4 or length > len(octets) - at:
            raise PacketError(f"bad SCTP parameter length: {length}")
        yield kind, octets[at + 4 : at + length]
        at += length + -length % 4


class Data(NamedTuple):
    """A DATA chunk: a message or a fragment of one (`flags` has the B, E and U bits)."""

    flags: int
    tsn: int
    stream: int
    sequence: int
    protocol: int
    payload: bytes

    @classmethod
    def parse(cls, chunk: Chunk) -> "Data":
        """A chunk's body; PacketError if it holds no user data (RFC 9260 section 3.3.1)."""
        require(chunk.value, 0, _DATA.size + 1, "SCTP DATA")
        tsn, stream, sequence, protocol = _DATA.unpack_from(chunk.value)
        return cls(chunk.flags, tsn, stream, sequence, protocol, chunk.value[_DATA.size :])

    def chunk(self) -> Chunk:
        """The chunk."""
        return Chunk(DATA, self.flags, _DATA.pack(*self[1:5]) + self.payload)


class Sack(NamedTuple):
    """A SACK: gaps are (first, last) as offsets from `cumulative`."""

    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> "Sack":
        """The body of a chunk; PacketError if its counts lie."""
        require(value, 0, _SACK.size, "SCTP SACK")
        cumulative, window, gaps, duplicates = _SACK.unpack_from(value)
        require(value, _SACK.size, 4 * (gaps + duplicates), "SCTP SACK")
        blocks = struct.unpack_from(f"!{2 * gaps}H", value, _SACK.size)
        repeated = struct.unpack_from(f"!{duplicates}I", value, _SACK.size + 4 * gaps)
        return cls(cumulative, window, tuple(zip(blocks[::2], blocks[1::2], strict=True)), repeated)

    def chunk(self) -> Chunk:
        """The chunk."""
        blocks = b"".join(struct.pack("!HH", *gap) for gap in self.gaps)
        repeated = b"".join(tsn.to_bytes(4) for tsn in self.duplicates)
        return Chunk(
            SACK,
            0,
            _SACK.pack(self.cumulative, self.window, len(self.gaps), len(self.duplicates)) + blocks + repeated,
        )
