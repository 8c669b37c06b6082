"""From a message's bytes to the plain JSON that a client would have sent instead.

A zero is in the JSON where Go's JSON of the decoded struct would have it: where the field is a pointer or has no
`omitempty`. Unknown field numbers are skipped, as proto2 asks.
"""

import base64
from typing import Any, Final

from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.protobuf import wire
from podwire.services.apiserver.core.protobuf.messages import SCALARS, Field, Message, message
from podwire.services.apiserver.core.protobuf.special import RAW, READERS
from podwire.services.apiserver.core.protobuf.wire import WireProblem

_DEPTH: Final = 100
_MOST_FIELDS: Final = 250_000
"""Fields of one body: two bytes of it may be a message of their own, a hundred bytes here."""
_ZEROS: Final = {"string": "", "bytes": b"", "bool": False, "int32": 0, "int64": 0, "double": 0.0}
_WIRE_TYPES: Final = {"string": wire.BYTES, "bytes": wire.BYTES, "double": wire.FIXED64}


class _Decoder:
    """One body's decoding, which counts what it has read."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def object(self, data: bytes, of: Message, depth: int) -> Json:
        """The fields of a message, named as in JSON; bytes stay bytes in RAW messages."""
        if depth == 0:
            raise WireProblem("exceeded max depth")
        result: Json = {}
        for number, kind, value in wire.read_fields(data, of.title):
            self._left -= 1
            if self._left < 0:
                raise WireProblem(f"more than {_MOST_FIELDS} fields")
            field = of.by_number.get(number)
            if field is not None:
                self._take(result, field, kind, value, depth, of.name in RAW)
        return result

    def _take(self, result: Json, field: Field, kind: int, value: int | bytes, depth: int, raw: bool) -> None:
        if field.cardinality == "map":
            key, entry = self._entry(field, _expect(field, kind, value), depth)
            result.setdefault(field.name, {})[key] = entry
        elif field.cardinality == "list":
            result.setdefault(field.name, []).extend(self._elements(field, kind, value, depth))
        elif field.zero == "inline":
            result.update(self.object(_expect(field, kind, value), message(field.type), depth - 1))
        else:
            self._put(result, field, self._value(field, kind, value, depth), raw)

    def _put(self, result: Json, field: Field, value: Any, raw: bool) -> None:
        """The last of a repeated field counts."""
        result.pop(field.name, None)
        kept = field.zero == "kept" or field.type not in SCALARS or bool(value)
        if value is not None and kept:
            text = isinstance(value, bytes) and not raw
            result[field.name] = base64.b64encode(value).decode() if text else value

    def _elements(self, field: Field, kind: int, value: int | bytes, depth: int) -> list[Any]:
        if kind == wire.BYTES and field.type in ("bool", "int32", "int64"):
            return self._packed(field, _expect(field, kind, value))
        element = self._value(field, kind, value, depth)
        if isinstance(element, bytes):
            return [base64.b64encode(element).decode()]
        return [element]

    def _packed(self, field: Field, data: bytes) -> list[Any]:
        at, found = 0, []
        while at < len(data):
            value, at = wire.read_varint(data, at)
            self._left -= 1
            found.append(_number(field.type, value))
        return found

    def _entry(self, field: Field, data: bytes, depth: int) -> tuple[str, Any]:
        key: str = ""
        value: Any = _ZEROS[field.type] if field.type in _ZEROS else self._message(field.type, b"", depth)
        for number, kind, part in wire.read_fields(data, f"{field.name}Entry"):
            if number == 1:
                key = _text(_expect(field, kind, part))
            elif number == 2:
                value = self._value(field, kind, part, depth)
        return key, base64.b64encode(value).decode() if isinstance(value, bytes) else value

    def _value(self, field: Field, kind: int, value: int | bytes, depth: int) -> Any:
        if field.type not in SCALARS:
            return self._message(field.type, _expect(field, kind, value), depth)
        if kind != _WIRE_TYPES.get(field.type, wire.VARINT):
            raise WireProblem(f"proto: wrong wireType = {kind} for field {_go_name(field)}")
        if isinstance(value, int):
            return _number(field.type, value)
        if field.type == "double":
            return wire.read_double(value)
        return _text(value) if field.type == "string" else value

    def _message(self, name: str, data: bytes, depth: int) -> Any:
        found = self.object(data, message(name), depth - 1)
        reader = READERS.get(name)
        return found if reader is None else reader(found)


def _expect(field: Field, kind: int, value: int | bytes) -> bytes:
    if kind != wire.BYTES or isinstance(value, int):
        raise WireProblem(f"proto: wrong wireType = {kind} for field {_go_name(field)}")
    return value


def _go_name(field: Field) -> str:
    return field.name[:1].upper() + field.name[1:]


def _number(kind: str, value: int) -> int | bool:
    if kind == "bool":
        return value != 0
    return wire.signed(value, 32 if kind == "int32" else 64)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WireProblem("proto: string field contains invalid UTF-8") from None


def decode(data: bytes, of: Message) -> Json:
    """The JSON of a message; raises WireProblem."""
    return _Decoder().object(data, of, _DEPTH)
