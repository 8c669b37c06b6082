"""Columns, rows and the metav1.Table object."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.selectors import format_selector
from podwire.services.apiserver.core.times import age

type Cells = Callable[[Json, int], list[Any]]

GROUP_VERSION: Final = "meta.k8s.io/v1"
_DESCRIPTIONS: Final = {
    "Name": (
        "Name must be unique within a namespace. Is required when creating resources, although some resources may "
        "allow a client to request the generation of an appropriate name automatically."
    ),
    "Age": "CreationTimestamp is a timestamp representing the server time when this object was created.",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; priority 1 shows only with `-o wide`."""

    name: str
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str = ""

    def definition(self) -> Json:
        """The TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format or ("name" if self.name == "Name" else ""),
            "description": self.description or _DESCRIPTIONS.get(self.name, self.name),
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """How one kind prints."""

    columns: tuple[Column, ...]
    cells: Cells


def columns(*names: str) -> tuple[Column, ...]:
    """Columns from names; a leading `+` means wide only, a trailing `#` an integer."""
    return tuple(
        Column(name.strip("+#"), "integer" if name.endswith("#") else "string", 1 if name.startswith("+") else 0)
        for name in names
    )


def table(printer: Printer, objects: Sequence[Json], meta: Json, include: str, now_ns: int) -> Json:
    """The metav1.Table of some objects; `include` is None, Metadata or Object."""
    return {
        "kind": "Table",
        "apiVersion": GROUP_VERSION,
        "metadata": meta,
        "columnDefinitions": [column.definition() for column in printer.columns],
        "rows": [_row(printer, value, include, now_ns) for value in objects],
    }


def _row(printer: Printer, value: Json, include: str, now_ns: int) -> Json:
    row: Json = {"cells": printer.cells(value, now_ns)}
    if include == "Object":
        row["object"] = value
    elif include != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": GROUP_VERSION,
            "metadata": value.get("metadata", {}),
        }
    return row


def name_and_age(value: Json, now_ns: int) -> tuple[str, str]:
    """The two cells that every kind has."""
    meta = section(value, "metadata")
    return str(meta.get("name", "")), age(meta.get("creationTimestamp"), now_ns)


def template_cells(spec: Json) -> list[str]:
    """Containers, images and selector of what has a pod template."""
    containers = items(section(spec, "template", "spec"), "containers")
    names = ",".join(container.get("name", "") for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return [names, images, format_selector(spec.get("selector"))]


def more(parts: list[str], count: int, limit: int = 3) -> str:
    """A list cut after `limit` parts, as printers say it."""
    text = ",".join(parts[:limit])
    return f"{text} + {count - limit} more..." if count > limit else text
