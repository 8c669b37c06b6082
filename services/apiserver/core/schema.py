"""The v1.33 definitions, compiled once into checkers.

A checker takes a decoded JSON value and answers what Go's decoder would have made of it: unknown fields are left out
and reported (`unknown field "spec.foo"`), nulls are absent, a value of another type is an error that names the Go
field. Required fields are a second pass over the result, since defaults are set in between.

Source: apimachinery `runtime/serializer/json`, `sigs.k8s.io/json`.
"""

import base64
import binascii
import gzip
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from podwire.proto.kube.quantity import QuantityError, thousandths
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.times import parse_time

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_TIMES: Final = (f"{META}.Time", f"{META}.MicroTime")
_INDEX: Final = re.compile(r"\[\d+\]")
_LIMITS: Final = {"int32": 1 << 31, "int64": 1 << 63}


class DecodeProblem(ValueError):
    """A value that Go's decoder would refuse; the text is the decoder's own."""


class Context:
    """Where a checker is, and which unknown fields it met."""

    __slots__ = ("owner", "unknown")

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.owner = ""


type Checker = Callable[[Any, str, Context], Any]


@cache
def definitions() -> Json:
    """Every packaged definition by its name."""
    packed = resources.files("podwire.services.apiserver").joinpath("definitions/v1.33.json.gz").read_bytes()
    loaded: Json = msgspec.json.decode(gzip.decompress(packed))
    return loaded


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def _mismatch(value: object, path: str, context: Context, wanted: str) -> DecodeProblem:
    given = _json_type(value)
    return DecodeProblem(
        f"json: cannot unmarshal {given} into Go struct field {_go_path(path, context)} of type {wanted}"
    )


def _go_path(path: str, context: Context) -> str:
    """Go's decoder names fields only: no list indices."""
    return f"{context.owner}.{_INDEX.sub('', path)}"


def _string(value: Any, path: str, context: Context) -> Any:
    if not isinstance(value, str):
        raise _mismatch(value, path, context, "string")
    return value


def _boolean(value: Any, path: str, context: Context) -> Any:
    if not isinstance(value, bool):
        raise _mismatch(value, path, context, "bool")
    return value


def _integer(width: str) -> Checker:
    limit = _LIMITS.get(width, 1 << 63)

    def check(value: Any, path: str, context: Context) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _mismatch(value, path, context, width)
        if not -limit <= value < limit:
            raise DecodeProblem(
                f"json: cannot unmarshal number {value} into Go struct field {_go_path(path, context)} of type {width}"
            )
        return value

    return check


def _number(value: Any, path: str, context: Context) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, path, context, "float64")
    return float(value)


def _bytes(value: Any, path: str, context: Context) -> Any:
    if not isinstance(value, str):
        raise _mismatch(value, path, context, "[]uint8")
    try:
        base64.b64decode(value.replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise DecodeProblem("illegal base64 data at input byte 0") from None
    return value


def _time(value: Any, path: str, context: Context) -> Any:
    if not isinstance(value, str):
        raise _mismatch(value, path, context, "string")
    if value and parse_time(value) is None:
        raise DecodeProblem(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}"')
    return value


def _int_or_string(value: Any, path: str, context: Context) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 31) <= value < 1 << 31:
        raise _mismatch(value, path, context, "intstr.IntOrString")
    return value


def _quantity(value: Any, path: str, context: Context) -> Any:
    try:
        thousandths(value)
    except QuantityError as error:
        raise DecodeProblem(str(error)) from None
    return str(value)


def _any(value: Any, path: str, context: Context) -> Any:
    """Whatever JSON can hold; Go reads whole numbers as int64, or else as float64."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
        return float(value)
    if isinstance(value, list):
        return [_any(entry, path, context) for entry in value]
    if isinstance(value, dict):
        return {key: _any(entry, path, context) for key, entry in value.items()}
    return value


def _list_of(item: Checker, title: str) -> Checker:
    def check(value: Any, path: str, context: Context) -> Any:
        if not isinstance(value, list):
            raise _mismatch(value, path, context, title)
        return [item(entry, f"{path}[{index}]", context) for index, entry in enumerate(value) if entry is not None]

    return check


def _map_of(item: Checker, title: str) -> Checker:
    def check(value: Any, path: str, context: Context) -> Any:
        if not isinstance(value, dict):
            raise _mismatch(value, path, context, title)
        return {key: item(entry, path, context) for key, entry in value.items() if entry is not None}

    return check


def _struct(name: str) -> Checker:
    owner = name.rpartition(".")[2]
    definition = definitions()[name]
    fields: dict[str, Checker] = {}

    def check(value: Any, path: str, context: Context) -> Any:
        if not fields:
            fields.update({key: compile_schema(part) for key, part in definition["properties"].items()})
        if not isinstance(value, dict):
            raise _mismatch(value, path, context, owner)
        result: Json = {}
        for key, entry in value.items():
            place = f"{path}.{key}" if path else key
            checker = fields.get(key)
            if checker is None:
                context.unknown.append(place)
            elif entry is not None:
                context.owner = owner
                result[key] = checker(entry, place, context)
        return result

    return check


@cache
def _reference(name: str) -> Checker:
    if name in _TIMES:
        return _time
    special = {_QUANTITY: _quantity, _INT_OR_STRING: _int_or_string}.get(name)
    if special is not None:
        return special
    definition = definitions()[name]
    return _struct(name) if "properties" in definition else compile_schema(definition)


def compile_schema(part: Json) -> Checker:
    """The checker of one schema part."""
    if "$ref" in part:
        return _reference(part["$ref"].rpartition("/")[2])
    kinds = part.get("type", [])
    kind = kinds if isinstance(kinds, str) else next((name for name in kinds if name != "null"), "")
    if kind == "array":
        return _list_of(compile_schema(part.get("items", {})), _go_type(part))
    if kind == "object":
        values = part.get("additionalProperties")
        return _map_of(compile_schema(values), _go_type(part)) if isinstance(values, dict) else _any
    return _scalar(kind, part.get("format", ""))


def _scalar(kind: str, form: str) -> Checker:
    if kind == "integer":
        return _integer(form or "int64")
    if kind == "string":
        return {"byte": _bytes, "date-time": _time}.get(form, _string)
    return {"boolean": _boolean, "number": _number}.get(kind, _any)


def _go_type(part: Json) -> str:
    inner = part.get("items") or part.get("additionalProperties") or {}
    if not isinstance(inner, dict):
        inner = {}
    if "$ref" in inner:
        name = inner["$ref"].rpartition("/")[2].split(".")
        element = ".".join(name[-2:])
    else:
        kinds = inner.get("type", "string")
        element = kinds if isinstance(kinds, str) else kinds[0]
    return f"[]{element}" if "items" in part else f"map[string]{element}"


@cache
def checker_of(name: str) -> Checker:
    """The checker of a named definition."""
    return _reference(name)


def decode_object(name: str, value: Json) -> tuple[Json, list[str]]:
    """The object as Go would hold it, and the paths of unknown fields; raises DecodeProblem."""
    context = Context()
    result: Json = checker_of(name)(value, "", context)
    return result, context.unknown


def missing_required(name: str, value: Json, path: str, errors: FieldErrors) -> None:
    """Reports required fields that are absent below a path (status is left to its writers)."""
    definition = definitions().get(name, {})
    for key in definition.get("required", []):
        place = f"{path}.{key}" if path else key
        if key not in value and not errors.has(place):
            errors.required(place)
    for key, part in definition.get("properties", {}).items():
        if key in value and not (key in ("status", "metadata") and not path):
            _descend(part, value[key], f"{path}.{key}" if path else key, errors)


def _descend(part: Json, value: Any, path: str, errors: FieldErrors) -> None:
    if "$ref" in part and isinstance(value, dict):
        missing_required(part["$ref"].rpartition("/")[2], value, path, errors)
    elif isinstance(value, list) and "$ref" in part.get("items", {}):
        for index, entry in enumerate(value):
            _descend(part["items"], entry, f"{path}[{index}]", errors)
