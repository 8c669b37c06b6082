"""The envelope of a protobuf body: four magic bytes, then a `runtime.Unknown` that names kind and version.

Source: apimachinery `runtime/serializer/protobuf/protobuf.go`.
"""

from typing import Final

from podwire.services.apiserver.core.errors import ApiError, bad_request, internal
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.protobuf import decoding, encoding, wire
from podwire.services.apiserver.core.protobuf.messages import META, message, message_of
from podwire.services.apiserver.core.protobuf.wire import WireProblem

MEDIA: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\0"
_UNKNOWN_RAW: Final = 2
_TYPE_META: Final = 1


def read(body: bytes) -> Json:
    """The object in a body; raises ApiError 400."""
    if not body:
        raise bad_request("empty data")
    if not body.startswith(_MAGIC):
        raise bad_request(
            "provided data does not appear to be a protobuf message, expected prefix "
            + "[" + " ".join(str(byte) for byte in _MAGIC) + "]"
        )  # fmt: skip
    try:
        type_meta, raw = _unknown(body[len(_MAGIC) :])
    except WireProblem as error:
        raise bad_request(f"couldn't get version/kind; {error}") from None
    version, kind = type_meta.get("apiVersion", ""), type_meta.get("kind", "")
    if not kind:
        raise bad_request("Object 'Kind' is missing in the body")
    return _object(raw, version, kind)


def _unknown(data: bytes) -> tuple[Json, bytes]:
    raw, meta = b"", b""
    for number, _, value in wire.read_fields(data, "Unknown"):
        if number == _UNKNOWN_RAW and isinstance(value, bytes):
            raw = value
        elif number == _TYPE_META and isinstance(value, bytes):
            meta = value
    return decoding.decode(meta, message("k8s.io.apimachinery.pkg.runtime.TypeMeta")), raw


def _object(raw: bytes, version: str, kind: str) -> Json:
    found = message_of(version, kind)
    if found is None:
        raise bad_request(f'no kind "{kind}" is registered for version "{version}"')
    try:
        value = decoding.decode(raw, found)
    except WireProblem as error:
        short = version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{short}" cannot be handled as a {kind}: {error}') from None
    return {"kind": kind, "apiVersion": version, **value}


def serves(value: Json) -> bool:
    """Whether an object can be written in protobuf."""
    return message_of(str(value.get("apiVersion", "v1")), str(value.get("kind", ""))) is not None


def write(value: Json) -> bytes:
    """An object in its envelope; raises ApiError 406 for a kind without a message, 500 for one that does not fit."""
    version, kind = str(value.get("apiVersion", "v1")), str(value.get("kind", ""))
    found = message_of(version, kind)
    if found is None:
        text = f"object *{kind} does not implement the protobuf marshalling interface and cannot be encoded"
        raise ApiError(406, "NotAcceptable", f"{text} to a protobuf message")
    try:
        raw = encoding.encode(value, found)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise internal(f"{kind} cannot be written in protobuf: {error}") from None
    meta = wire.bytes_field(1, version.encode()) + wire.bytes_field(2, kind.encode())
    empty = wire.bytes_field(3, b"") + wire.bytes_field(4, b"")
    return _MAGIC + wire.bytes_field(_TYPE_META, meta) + wire.bytes_field(_UNKNOWN_RAW, raw) + empty


def watch_event(event: Json) -> bytes:
    """A `WatchEvent`, whose object is in an envelope of its own."""
    inner = {"type": event["type"], "object": None}
    body = encoding.encode(inner, message(f"{META}.WatchEvent"))
    return body + wire.bytes_field(2, wire.bytes_field(1, write(event["object"])))
