"""A Swagger 2.0 document in the protobuf of gnostic's `openapiv2/OpenAPIv2.proto`: the messages that ours needs.

Extensions are written as YAML text, of which JSON is a part, as gnostic itself does.
"""

from collections.abc import Callable
from typing import Any, Final

from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.protobuf.wire import bytes_field, number_field

type Write = Callable[[Any], bytes]


def _message(fields: dict[str, tuple[int, Callable[[int, Any], bytes]]], extensions: int = 0) -> Write:
    """A writer of an object by its keys; keys that begin with `x-` go into the field of extensions."""

    def write(value: Json) -> bytes:
        written = bytearray()
        for key, (number, field) in fields.items():
            if key in value:
                written += field(number, value[key])
        if extensions:
            for key in sorted(key for key in value if key.startswith("x-")):
                text = bytes_field(2, to_json(value[key]) + b"\n")
                written += bytes_field(extensions, bytes_field(1, key.encode()) + bytes_field(2, text))
        return bytes(written)

    return write


def _text(number: int, value: Any) -> bytes:
    return bytes_field(number, str(value).encode())


def _flag(number: int, value: Any) -> bytes:
    return number_field(number, int(value))


def _texts(number: int, values: Any) -> bytes:
    return b"".join(_text(number, value) for value in values)


def _one(write: Callable[[], Write], *wrapped: int) -> Callable[[int, Any], bytes]:
    """A message, inside others whose field of that number it is."""

    def field(number: int, value: Any) -> bytes:
        body = write()(value)
        for outer in wrapped:
            body = bytes_field(outer, body)
        return bytes_field(number, body)

    return field


def _named(write: Callable[[], Write], inner: int, *wrapped: int) -> Callable[[int, Any], bytes]:
    """A map, as a message whose field `inner` repeats pairs of name and value."""

    def field(number: int, values: Any) -> bytes:
        one = _one(write, *wrapped)
        pairs = b"".join(bytes_field(inner, _text(1, key) + one(2, value)) for key, value in values.items())
        return bytes_field(number, pairs)

    return field


def _list(field: Callable[[int, Any], bytes]) -> Callable[[int, Any], bytes]:
    return lambda number, values: b"".join(field(number, value) for value in values)


def _parameter(number: int, value: Any) -> bytes:
    """ParametersItem: a Parameter that is a body, or one of the path or the query."""
    if value["in"] == "body":
        inner = bytes_field(1, _BODY_PARAMETER(value))
    else:
        of_path = value["in"] == "path"
        inner = bytes_field(2, bytes_field(4 if of_path else 3, (_PATH_PARAMETER if of_path else _QUERY)(value)))
    return bytes_field(number, bytes_field(1, inner))


def _types(number: int, value: Any) -> bytes:
    return bytes_field(number, _text(1, value))


def _any(number: int, value: Any) -> bytes:
    return bytes_field(number, bytes_field(2, to_json(value) + b"\n"))


_SCHEMA: Write = _message(
    {
        "$ref": (1, _text),
        "format": (2, _text),
        "description": (4, _text),
        "default": (5, _any),
        "required": (19, _texts),
        "additionalProperties": (21, _one(lambda: _SCHEMA, 1)),
        "type": (22, _types),
        "items": (23, _one(lambda: _SCHEMA, 1)),
        "properties": (25, _named(lambda: _SCHEMA, 1)),
    },
    31,
)
_BODY_PARAMETER: Final = _message(
    {"description": (1, _text), "name": (2, _text), "in": (3, _text), "required": (4, _flag)}
    | {"schema": (5, _one(lambda: _SCHEMA))}
)
_PARAMETER: Final = {"required": (1, _flag), "in": (2, _text), "description": (3, _text), "name": (4, _text)}
_QUERY: Final = _message(_PARAMETER | {"type": (6, _text), "uniqueItems": (20, _flag)})
_PATH_PARAMETER: Final = _message(_PARAMETER | {"type": (5, _text), "uniqueItems": (19, _flag)})
_RESPONSE: Write = _message({"description": (1, _text), "schema": (2, _one(lambda: _SCHEMA, 1))})
_OPERATION: Write = _message(
    {
        "tags": (1, _texts),
        "description": (3, _text),
        "operationId": (5, _text),
        "produces": (6, _texts),
        "consumes": (7, _texts),
        "parameters": (8, _list(_parameter)),
        "responses": (9, _named(lambda: _RESPONSE, 1, 1)),
        "schemes": (10, _texts),
    },
    13,
)
_PATH: Write = _message(
    {
        "get": (2, _one(lambda: _OPERATION)),
        "put": (3, _one(lambda: _OPERATION)),
        "post": (4, _one(lambda: _OPERATION)),
        "delete": (5, _one(lambda: _OPERATION)),
        "patch": (8, _one(lambda: _OPERATION)),
        "parameters": (9, _list(_parameter)),
    }
)
_DOCUMENT: Final = _message(
    {
        "swagger": (1, _text),
        "info": (2, _one(lambda: _message({"title": (1, _text), "version": (2, _text)}))),
        "paths": (8, _named(lambda: _PATH, 2)),
        "definitions": (9, _named(lambda: _SCHEMA, 1)),
    }
)


def write(document: Json) -> bytes:
    """The document's bytes."""
    return _DOCUMENT(document)
