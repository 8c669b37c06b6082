"""How objects of a custom kind print: their name and the definition's columns, or their age.

Source: apiextensions-apiserver `pkg/registry/customresource/tableconvertor/tableconvertor.go`.
"""

from collections.abc import Callable
from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.custom.json_path import find
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.printers.table import Column, Printer
from podwire.services.apiserver.core.times import human_duration, parse_time

_AGE: Final[Json] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_DEFAULT_TEXT: Final = "Custom resource definition column (in JSONPath format): "


def printer(version: Json) -> Printer:
    """The printer of a version of a definition."""
    wanted = items(version, "additionalPrinterColumns") or [_AGE]
    columns = (Column("Name"), *(_column(entry) for entry in wanted))
    return Printer(columns, _cells(wanted))


def _column(entry: Json) -> Column:
    text = entry.get("description") or _DEFAULT_TEXT + entry["jsonPath"]
    return Column(entry["name"], entry["type"], entry.get("priority", 0), text, entry.get("format", ""))


def _cells(wanted: list[Json]) -> Callable[[Json, int], list[Any]]:
    def cells(value: Json, now: int) -> list[Any]:
        name = str(section(value, "metadata").get("name", ""))
        return [name, *(_cell(entry["type"], find(entry["jsonPath"], value), now) for entry in wanted)]

    return cells


def _cell(kind: str, found: list[Any], now: int) -> Any:
    if not found:
        return None
    value = found[0]
    if kind == "date":
        moment = parse_time(value)
        return "<invalid>" if moment is None else human_duration(now - moment)
    if kind == "string":
        return _text(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return int(value) if is_number else None
    if kind == "number":
        return float(value) if is_number else None
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "<nil>" if value is None else to_json(value).decode()
