"""Whether a value is what its schema says, in kube-openapi's words.

Source: kube-openapi `pkg/validation/validate`, `pkg/validation/errors`; apiextensions-apiserver
`pkg/apiserver/validation/validation.go` (which reason a failure has).
"""

from functools import cache
from typing import Any, Final

import re2

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.custom.formats import is_of_format
from podwire.services.apiserver.core.custom.structural import INT_OR_STRING
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_NOWHERE: Final = "<nil>"
"""The path of what is wrong with a value as a whole, as Go prints the absent one."""


def check(value: Any, schema: Json, path: str, errors: FieldErrors) -> None:
    """Adds what is wrong with a value."""
    if value is None and schema.get("nullable"):
        return
    if not _is_of_type(value, schema):
        wanted = "integer,string" if schema.get(INT_OR_STRING) else schema.get("type")
        errors.type_invalid(path, type_name(value), f'{path} in body must be of type {wanted}: "{type_name(value)}"')
        return
    _check_enum(value, schema, path, errors)
    if isinstance(value, str):
        _check_text(value, schema, path, errors)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        _check_number(value, schema, path, errors)
    elif isinstance(value, list):
        _check_list(value, schema, path, errors)
    elif isinstance(value, dict):
        _check_map(value, schema, path, errors)
    _check_junctors(value, schema, path, errors)


def type_name(value: Any) -> str:
    """The JSON Schema type of a value."""
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object", type(None): "null"}
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return names[type(value)]


def _is_of_type(value: Any, schema: Json) -> bool:
    given = type_name(value)
    if schema.get(INT_OR_STRING):
        return given in ("integer", "string")
    wanted = schema.get("type", "")
    return not wanted or given == wanted or (wanted == "number" and given == "integer")


def _check_enum(value: Any, schema: Json, path: str, errors: FieldErrors) -> None:
    choices = items(schema, "enum")
    if choices and not any(value == choice and type_name(value) == type_name(choice) for choice in choices):
        errors.unsupported(path, value, [choice if isinstance(choice, str) else str(choice) for choice in choices])


@cache
def pattern(text: str) -> Any:
    """A compiled regular expression in Go's syntax. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def _check_text(value: str, schema: Json, path: str, errors: FieldErrors) -> None:
    if len(value) > schema.get("maxLength", len(value)):
        errors.too_long(path, schema["maxLength"])
    if len(value) < schema.get("minLength", 0):
        errors.invalid(path, value, f"{path} in body should be at least {schema['minLength']} chars long")
    if schema.get("pattern") and not pattern(schema["pattern"]).search(value):
        errors.invalid(path, value, f"{path} in body should match '{schema['pattern']}'")
    form = schema.get("format", "")
    if form and not is_of_format(form, value):
        errors.type_invalid(path, value, f'{path} in body must be of type {form}: "{value}"')


def _check_number(value: int | float, schema: Json, path: str, errors: FieldErrors) -> None:
    most, least, step = (schema.get(name) for name in ("maximum", "minimum", "multipleOf"))
    if most is not None and schema.get("exclusiveMaximum") and value >= most:
        errors.invalid(path, value, f"{path} in body should be less than {_go(most)}")
    elif most is not None and value > most:
        errors.invalid(path, value, f"{path} in body should be less than or equal to {_go(most)}")
    if least is not None and schema.get("exclusiveMinimum") and value <= least:
        errors.invalid(path, value, f"{path} in body should be greater than {_go(least)}")
    elif least is not None and value < least:
        errors.invalid(path, value, f"{path} in body should be greater than or equal to {_go(least)}")
    if step and value % step:
        errors.invalid(path, value, f"{path} in body should be a multiple of {_go(step)}")


def _go(number: float) -> str:
    """A number as Go's %v prints a float64."""
    return f"{number:g}" if abs(number) >= 1e21 or number % 1 else str(int(number))


def _check_list(value: list[Any], schema: Json, path: str, errors: FieldErrors) -> None:
    if len(value) < schema.get("minItems", 0):
        errors.invalid(path, len(value), f"{path} in body should have at least {schema['minItems']} items")
    if len(value) > schema.get("maxItems", len(value)):
        errors.too_many(path, len(value), schema["maxItems"])
    for index, entry in enumerate(value):
        check(entry, section(schema, "items"), f"{path}[{index}]", errors)
    _check_identities(value, schema, path, errors)


def _check_identities(value: list[Any], schema: Json, path: str, errors: FieldErrors) -> None:
    """Sets have no entry twice, maps no key (`pkg/apiserver/schema/listtype/validation.go`)."""
    kind, keys = schema.get("x-kubernetes-list-type"), items(schema, "x-kubernetes-list-map-keys")
    if kind not in ("set", "map"):
        return
    seen: list[Any] = []
    for index, entry in enumerate(value):
        identity = entry
        if kind == "map" and isinstance(entry, dict):
            identity = {key: entry[key] for key in keys if key in entry}
        if identity in seen:
            errors.duplicate(f"{path}[{index}]", identity)
        seen.append(identity)


def _check_map(value: Json, schema: Json, path: str, errors: FieldErrors) -> None:
    if len(value) < schema.get("minProperties", 0):
        text = f"{path} in body should have at least {schema['minProperties']} properties"
        errors.invalid(path, len(value), text)
    if len(value) > schema.get("maxProperties", len(value)):
        errors.too_many(path, len(value), schema["maxProperties"])
    known, others = section(schema, "properties"), schema.get("additionalProperties")
    for name, entry in value.items():
        part = known.get(name, others if isinstance(others, dict) else None)
        if part is not None:
            check(entry, part, f"{path}.{name}" if path else name, errors)
    for name in items(schema, "required"):
        if name not in value:
            errors.required(f"{path}.{name}" if path else name)


def _check_junctors(value: Any, schema: Json, path: str, errors: FieldErrors) -> None:
    _check_all_of(value, items(schema, "allOf"), path, errors)
    for name, text in (("anyOf", "at least one schema (anyOf)"), ("oneOf", "one and only one schema (oneOf)")):
        parts = items(schema, name)
        found = [_found(value, part, path) for part in parts]
        valid = sum(not each.found for each in found)
        if not parts or valid == 1 or (valid and name == "anyOf"):
            continue
        none = " Found none valid" if not valid else f" Found {valid} valid alternatives"
        tail = f".{none}" if name == "oneOf" else ""
        errors.invalid(_NOWHERE, "", f'"{path}" must validate {text}{tail}')
        if not valid:
            errors.found += min(found, key=lambda each: len(each.found)).found
    if "not" in schema and not _found(value, schema["not"], path).found:
        errors.invalid(_NOWHERE, "", f'"{path}" must not validate the schema (not)')


def _check_all_of(value: Any, parts: list[Json], path: str, errors: FieldErrors) -> None:
    found = [_found(value, part, path) for part in parts]
    failed = [each for each in found if each.found]
    for each in failed:
        errors.found += each.found
    if failed:
        tail = ". None validated" if len(failed) == len(found) else ""
        errors.invalid(_NOWHERE, "", f'"{path}" must validate all the schemas (allOf){tail}')


def _found(value: Any, schema: Json, path: str) -> FieldErrors:
    errors = FieldErrors()
    check(value, schema, path, errors)
    return errors
