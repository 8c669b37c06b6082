"""Messages whose JSON is not an object of their fields: times, quantities, int-or-string, raw JSON, named lists.

Source: apimachinery `meta/v1/{time,micro_time}_proto.go`, `api/resource/quantity_proto.go`, `util/intstr/intstr.go`,
`runtime/extension.go`, `meta/v1/fields_proto.go`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from podwire.proto.kube.times import SECOND
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.protobuf.messages import META
from podwire.services.apiserver.core.protobuf.wire import WireProblem
from podwire.services.apiserver.core.times import parse_time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

type Reader = Callable[[Json], Any]
type Writer = Callable[[Any], Json]


def _moment(fields: Json) -> datetime | None:
    """The time, or None for Go's zero time, which has no fields at all."""
    if not fields:
        return None
    try:
        nanos = fields.get("nanos", 0)
        return _EPOCH + timedelta(seconds=fields.get("seconds", 0), microseconds=int(nanos / 1000))
    except OverflowError:
        raise WireProblem("Time.MarshalJSON: year outside of range [0,9999]") from None


def _read_time(fields: Json) -> str | None:
    moment = _moment(fields and {"seconds": fields.get("seconds", 0)})
    return None if moment is None else moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ")


def _read_micro_time(fields: Json) -> str | None:
    moment = _moment(fields)
    return None if moment is None else moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S.%fZ")


def _write_time(value: Any) -> Json:
    moment = parse_time(value)
    return {} if moment is None else {"seconds": moment // SECOND, "nanos": 0}


def _write_micro_time(value: Any) -> Json:
    moment = parse_time(value)
    return {} if moment is None else {"seconds": moment // SECOND, "nanos": moment % SECOND}


def _read_quantity(fields: Json) -> str:
    return str(fields.get("string", ""))


def _write_quantity(value: Any) -> Json:
    return {"string": str(value)}


def _read_int_or_string(fields: Json) -> int | str:
    if fields.get("type", 0) == 1:
        return str(fields.get("strVal", ""))
    return int(fields.get("intVal", 0))


def _write_int_or_string(value: Any) -> Json:
    text = isinstance(value, str)
    return {"type": int(text), "intVal": 0 if text else value, "strVal": value if text else ""}


def _read_raw(fields: Json) -> Any:
    raw = fields.get("raw", fields.get("Raw", b""))
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireProblem(f"json parse error: {error}") from None


def _write_raw(name: str) -> Writer:
    return lambda value: {name: to_json(value)}


def _read_items(fields: Json) -> list[Any]:
    found: list[Any] = fields.get("items", [])
    return found


def _write_items(value: Any) -> Json:
    return {"items": value}


READERS: Final[dict[str, Reader]] = {
    f"{META}.Time": _read_time,
    f"{META}.MicroTime": _read_micro_time,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _read_quantity,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _read_int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _read_raw,
    f"{META}.FieldsV1": _read_raw,
    f"{META}.Verbs": _read_items,
    "k8s.io.api.authentication.v1.ExtraValue": _read_items,
    "k8s.io.api.authorization.v1.ExtraValue": _read_items,
}
WRITERS: Final[dict[str, Writer]] = {
    f"{META}.Time": _write_time,
    f"{META}.MicroTime": _write_micro_time,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _write_quantity,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _write_int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _write_raw("raw"),
    f"{META}.FieldsV1": _write_raw("Raw"),
    f"{META}.Verbs": _write_items,
    "k8s.io.api.authentication.v1.ExtraValue": _write_items,
    "k8s.io.api.authorization.v1.ExtraValue": _write_items,
}
RAW: Final = frozenset({"k8s.io.apimachinery.pkg.runtime.RawExtension", f"{META}.FieldsV1"})
"""Messages whose bytes are JSON, not base64."""
