"""Whether a schema is structural, and asks for nothing that is not built.

Source: apiextensions-apiserver `pkg/apiserver/schema/validation.go`, `pkg/apis/apiextensions/validation/validation.go`.
"""

from typing import Any, Final

import re2

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.custom import checking
from podwire.services.apiserver.core.custom.structural import EMBEDDED, INT_OR_STRING, PRESERVE
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_TYPES: Final = ["array", "boolean", "integer", "number", "object", "string"]
_NOT_SUPPORTED: Final = {
    "$ref": "$ref is not supported",
    "id": "id is not supported",
    "patternProperties": "patternProperties is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "additionalItems": "additionalItems is not supported",
}
_CEL: Final = "x-kubernetes-validations"
_NOT_IN_JUNCTORS: Final = ("type", "default", "title", "description", "nullable", PRESERVE, EMBEDDED, INT_OR_STRING)


def validate(schema: Json, path: str, errors: FieldErrors) -> None:
    """The rules of a whole schema."""
    if schema.get("type") != "object":
        if not schema.get("type"):
            errors.required(f"{path}.type", "must not be empty at the root")
        else:
            errors.invalid(f"{path}.type", schema["type"], "must be object at the root")
    if "additionalProperties" in schema:
        errors.forbidden(f"{path}.additionalProperties", "must not be used at the root")
    _metadata(section(schema, "properties"), f"{path}.properties[metadata]", errors)
    _part(schema, path, "", errors)


def _metadata(properties: Json, path: str, errors: FieldErrors) -> None:
    part = section(properties, "metadata")
    if any(name not in ("name", "generateName") for name in section(part, "properties")):
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        errors.forbidden(path, text)


def _part(schema: Json, path: str, place: str, errors: FieldErrors) -> None:
    """One part; `place` is how upstream names what stands there, "" at the root."""
    free = schema.get(INT_OR_STRING) or schema.get(PRESERVE)
    if place and not schema.get("type") and not free:
        errors.required(f"{path}.type", f"must not be empty for specified {place}")
    elif schema.get("type") and schema["type"] not in _TYPES:
        errors.unsupported(f"{path}.type", schema["type"], _TYPES)
    _own_rules(schema, path, errors)
    for name, part in section(schema, "properties").items():
        if isinstance(part, dict):
            _part(part, f"{path}.properties[{name}]", "object fields", errors)
    others, entries = schema.get("additionalProperties"), schema.get("items")
    if others is not None and section(schema, "properties"):
        errors.forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if isinstance(others, dict):
        _part(others, f"{path}.additionalProperties", "object fields", errors)
    if isinstance(entries, list):
        errors.forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif isinstance(entries, dict):
        _part(entries, f"{path}.items", "array items", errors)
    elif schema.get("type") == "array":
        errors.required(f"{path}.items", "must be specified")
    _junctors(schema, path, errors)


def _own_rules(schema: Json, path: str, errors: FieldErrors) -> None:
    for name, text in _NOT_SUPPORTED.items():
        if schema.get(name):
            errors.forbidden(f"{path}.{name}", text)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.forbidden(f"{path}.uniqueItems", text)
    if schema.get(_CEL):
        errors.forbidden(f"{path}.{_CEL}", "podwire does not evaluate CEL rules: leave them out")
    if schema.get(INT_OR_STRING) and schema.get(PRESERVE):
        errors.invalid(f"{path}.{PRESERVE}", True, f"must be false if {INT_OR_STRING} is true")
    if schema.get("pattern"):
        _pattern(schema["pattern"], path, errors)
    _list_type(schema, path, errors)
    if schema.get("default") is not None:
        checking.check(schema["default"], schema, f"{path}.default", errors)


def _pattern(text: Any, path: str, errors: FieldErrors) -> None:
    try:
        checking.pattern(str(text))
    except re2.error as error:
        text_of = error.args[0]
        why = text_of.decode() if isinstance(text_of, bytes) else str(text_of)
        errors.invalid(f"{path}.pattern", text, f"must be a valid regular expression, but isn't: {why}")


def _list_type(schema: Json, path: str, errors: FieldErrors) -> None:
    kind = schema.get("x-kubernetes-list-type")
    if kind is not None and schema.get("type") != "array":
        errors.invalid(f"{path}.type", schema.get("type", ""), "must be array if x-kubernetes-list-type is specified")
    if kind not in (None, "atomic", "set", "map"):
        errors.unsupported(f"{path}.x-kubernetes-list-type", kind, ["atomic", "map", "set"])
    keys = items(schema, "x-kubernetes-list-map-keys")
    if kind == "map" and not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        errors.required(f"{path}.x-kubernetes-list-map-keys", text)
    for key in keys:
        if key not in section(schema, "items", "properties"):
            text = "entries must all be names of item properties"
            errors.invalid(f"{path}.x-kubernetes-list-map-keys", keys, text)


def _junctors(schema: Json, path: str, errors: FieldErrors) -> None:
    for name in ("allOf", "anyOf", "oneOf"):
        for index, part in enumerate(items(schema, name)):
            if isinstance(part, dict) and not _says_int_or_string(schema, part):
                _nested(part, f"{path}.{name}[{index}]", errors)
    if isinstance(schema.get("not"), dict):
        _nested(schema["not"], f"{path}.not", errors)


def _says_int_or_string(schema: Json, part: Json) -> bool:
    """The forms in which an int-or-string may say so again."""
    types = ({"type": "integer"}, {"type": "string"})
    return bool(schema.get(INT_OR_STRING)) and (part in types or items(part, "anyOf") == list(types))


def _nested(part: Json, path: str, errors: FieldErrors) -> None:
    for name in _NOT_IN_JUNCTORS:
        if part.get(name):
            errors.forbidden(f"{path}.{name}", "must be empty to be structural")
    if part.get(_CEL):
        errors.forbidden(f"{path}.{_CEL}", "podwire does not evaluate CEL rules: leave them out")
    for name, inner in section(part, "properties").items():
        if isinstance(inner, dict):
            _nested(inner, f"{path}.properties[{name}]", errors)
    if isinstance(part.get("items"), dict):
        _nested(part["items"], f"{path}.items", errors)
    _junctors(part, path, errors)
