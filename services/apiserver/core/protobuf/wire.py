"""The protobuf wire format: tagged fields from and to bytes.

Source: protobuf.dev/programming-guides/encoding; the errors are those of gogo/protobuf's generated `Unmarshal`.
"""

import struct
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
_GROUP: Final = 3
_GROUP_END: Final = 4
FIXED32: Final = 5
_MASK: Final = (1 << 64) - 1


class WireProblem(ValueError):
    """Bytes that are no message; the text is what Go's decoder says."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of up to 64 bits and where the next field begins; raises WireProblem."""
    value = shift = 0
    while shift < 64:
        if at >= len(data):
            raise WireProblem("unexpected EOF")
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value & _MASK, at
        shift += 7
    raise WireProblem("proto: integer overflow")


def read_fields(data: bytes, title: str) -> Iterator[tuple[int, int, int | bytes]]:
    """Field number, wire type and value of each field of a message; raises WireProblem.

    A fixed field's value is its bytes. Groups, which proto2 knows and Kubernetes never writes, are refused.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireProblem(f"proto: {title}: illegal tag {number} (wire type {tag})")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, kind, value
            continue
        length, at = _length(data, at, kind, title)
        if length > end - at:
            raise WireProblem("unexpected EOF")
        yield number, kind, data[at : at + length]
        at += length


def _length(data: bytes, at: int, kind: int, title: str) -> tuple[int, int]:
    if kind == BYTES:
        length, at = read_varint(data, at)
        if length >> 63:
            raise WireProblem("proto: negative length found during unmarshaling")
        return length, at
    if kind in (FIXED32, FIXED64):
        return (4 if kind == FIXED32 else 8), at
    if kind == _GROUP_END:
        raise WireProblem(f"proto: {title}: wiretype end group for non-group")
    raise WireProblem("proto: groups are not supported" if kind == _GROUP else f"proto: illegal wireType {kind}")


def signed(value: int, bits: int) -> int:
    """The two's complement number in the low bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def write_varint(value: int) -> bytes:
    """A number, negative ones in ten bytes."""
    value &= _MASK
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def number_field(number: int, value: int) -> bytes:
    """A whole number or a bool."""
    return write_varint(number << 3 | VARINT) + write_varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """Text, bytes or a message."""
    return write_varint(number << 3 | BYTES) + write_varint(len(value)) + value


def double_field(number: int, value: float) -> bytes:
    """A float64."""
    return write_varint(number << 3 | FIXED64) + struct.pack("<d", value)


def read_double(value: bytes) -> float:
    """The float64 in eight bytes."""
    found: float = struct.unpack("<d", value)[0]
    return found
