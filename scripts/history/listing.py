"""`podwire history get`: what `kubectl get` would have printed.

Source: kubectl `pkg/cmd/get/get.go`, cli-runtime `pkg/printers/{tableprinter,json,yaml}.go`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podwire.scripts.cluster.tables import aligned, cell
from podwire.scripts.errors import UserError
from podwire.scripts.history.past import TABLE, Past, collection, resolve, without_managers
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import BUILT_IN, Kind
from podwire.services.apiserver.core.presentation import to_yaml

OUTPUTS = ("", "wide", "name", "yaml", "json")


@dataclass(frozen=True, slots=True)
class Asked:
    """A kubectl-style listing: kinds, names of objects (all if none), namespace ("" for all), selectors, output."""

    kinds: tuple[Kind, ...]
    names: tuple[tuple[Kind, str], ...] = ()
    namespace: str = "default"
    selector: str = ""
    output: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """The list's query."""
        return [("labelSelector", self.selector)] if self.selector else []


def asked(
    arguments: Sequence[str], namespace: str, selector: str, output: str, known: Sequence[Kind] = BUILT_IN
) -> Asked:
    """What arguments as `pods`, `pods web-0`, `svc/web deploy/api` ask for. Raises UserError."""
    if output not in OUTPUTS:
        raise UserError(f"--output {output}: {', '.join(OUTPUTS[1:])}: one of them is needed")
    first, *rest = arguments
    if "/" in first:
        pairs = [word.partition("/") for word in arguments]
        if not all(kind and slash and name for kind, slash, name in pairs):
            raise UserError(f"{' '.join(arguments)}: with a TYPE/NAME, all must be TYPE/NAME")
        named = tuple((resolve(kind, known)[0], name) for kind, _, name in pairs)
        return Asked((), named, namespace, "", output)
    kinds = tuple(resolve(first, known))
    return Asked(kinds, tuple((kind, name) for name in rest for kind in kinds), namespace, selector, output)


def listing(past: Past, wanted: Asked) -> str:
    """The text; "" where nothing is there. Raises UserError."""
    if wanted.output in ("yaml", "json"):
        return _documents(past, wanted)
    tables = _tables(past, wanted)
    if wanted.output == "name":
        return "\n".join(f"{_typed(kind)}/{row['cells'][0]}" for kind, value in tables for row in value["rows"])
    many = len({kind.kind for kind, _ in tables}) > 1
    shown = [_text(kind, value, wanted, many) for kind, value in tables if value.get("rows")]
    return "\n\n".join(shown)


def _paths(wanted: Asked) -> list[tuple[Kind, str]]:
    if wanted.names:
        return [(kind, f"{collection(kind, wanted.namespace)}/{name}") for kind, name in wanted.names]
    return [(kind, collection(kind, wanted.namespace)) for kind in wanted.kinds]


def _tables(past: Past, wanted: Asked) -> list[tuple[Kind, Json]]:
    """A table a kind; objects that are named are rows of one."""
    found: dict[str, tuple[Kind, Json]] = {}
    for kind, path in _paths(wanted):
        value = past.read(path, wanted.query, TABLE)
        if kind.resource in found:
            found[kind.resource][1]["rows"] += value.get("rows") or []
        else:
            found[kind.resource] = (kind, value)
    return list(found.values())


def _text(kind: Kind, value: Json, wanted: Asked, many: bool) -> str:
    columns = value["columnDefinitions"]
    places = [place for place, entry in enumerate(columns) if wanted.output == "wide" or not entry.get("priority")]
    spaced = kind.namespaced and not wanted.namespace
    rows = [[*(["NAMESPACE"] if spaced else []), *(columns[place]["name"].upper() for place in places)]]
    for row in value["rows"]:
        cells = [cell(row["cells"][place]) for place in places]
        cells[0] = f"{_typed(kind)}/{cells[0]}" if many else cells[0]
        rows.append([*([row["object"]["metadata"]["namespace"]] if spaced else []), *cells])
    return aligned(rows)


def _typed(kind: Kind) -> str:
    return f"{kind.singular}.{kind.group}" if kind.group else kind.singular


def _documents(past: Past, wanted: Asked) -> str:
    values: list[Any] = []
    for kind, path in _paths(wanted):
        value = past.read(path, wanted.query)
        typed = {"apiVersion": kind.api_version, "kind": kind.kind}
        values += [value] if wanted.names else [typed | entry for entry in value["items"]]
    shown = [without_managers(value) for value in values]
    single = shown[0] if len(wanted.names) == 1 and len(shown) == 1 else None
    listed = {"apiVersion": "v1", "items": shown, "kind": "List", "metadata": {"resourceVersion": ""}}
    document = listed if single is None else single
    if wanted.output == "yaml":
        return to_yaml(document).decode().rstrip("\n")
    return json.dumps(document, indent=4, sort_keys=True, ensure_ascii=False)
