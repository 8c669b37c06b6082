"""What a structural schema makes of an object: unknown fields go, defaults come.

Source: apiextensions-apiserver `pkg/apiserver/schema/{pruning,defaulting}`, and the documentation of custom resources
("Field pruning", "Defaulting and Nullable").
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import copy_json, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.schema import META, Context, checker_of

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_OF_EVERY_OBJECT: Final = ("apiVersion", "kind", "metadata")


def decode(schema: Json, value: Json) -> tuple[Json, list[str]]:
    """The object with the fields that its schema knows, and the paths of the others; raises DecodeProblem for
    metadata that is none."""
    context = Context()
    pruned: Json = _pruned(value, schema, "", context.unknown, True)
    if "metadata" in value and value["metadata"] is not None:
        pruned["metadata"] = checker_of(f"{META}.ObjectMeta")(value["metadata"], "metadata", context)
    return pruned, context.unknown


def _pruned(value: Any, schema: Json, path: str, unknown: list[str], is_object: bool = False) -> Any:
    if isinstance(value, list):
        entries = section(schema, "items")
        return [_pruned(entry, entries, f"{path}[{index}]", unknown) for index, entry in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: Json = {}
    for name, entry in value.items():
        place = f"{path}.{name}" if path else name
        if (is_object or schema.get(EMBEDDED)) and name in _OF_EVERY_OBJECT:
            result[name] = copy_json(entry)
        elif (part := _part_of(schema, name)) is not None:
            result[name] = _pruned(entry, part, place, unknown)
        elif _takes_anything(schema):
            result[name] = copy_json(entry)
        else:
            unknown.append(place)
    return result


def _part_of(schema: Json, name: str) -> Json | None:
    """The schema of a field; None where the schema says nothing of it."""
    known = section(schema, "properties")
    if name in known:
        return section(known, name)
    values = schema.get("additionalProperties")
    return values if isinstance(values, dict) else None


def _takes_anything(schema: Json) -> bool:
    return bool(schema.get(PRESERVE)) or schema.get("additionalProperties") is True


def set_defaults(value: Any, schema: Json) -> None:
    """Fills in what is absent and has a default; a null where none may be counts as absent."""
    if isinstance(value, list):
        for entry in value:
            set_defaults(entry, section(schema, "items"))
    if not isinstance(value, dict):
        return
    for name in [name for name, entry in value.items() if entry is None]:
        part = _part_of(schema, name)
        if part is not None and not part.get("nullable"):
            del value[name]
    for name, part in section(schema, "properties").items():
        if name not in value and isinstance(part, dict) and part.get("default") is not None:
            value[name] = copy_json(part["default"])
    for name, entry in value.items():
        part = _part_of(schema, name)
        if part is not None:
            set_defaults(entry, part)
