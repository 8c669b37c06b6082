"""The API server's own Table answers, printed as `kubectl get` prints them."""

import json
from typing import Any

from podwire.proto.kube.resources import Resource
from podwire.proto.messages.api import ApiRequest
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError

_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def table(client: Client, resource: Resource, namespace: str = "", wide: bool = False, name: str = "") -> str:
    """The rows of a collection (or of one object) as text. Raises UserError."""
    request = ApiRequest(method="GET", path=resource.path(namespace, name), accept=_ACCEPT)
    response = await client.api.request(request)
    value: dict[str, Any] = json.loads(response.body)
    if value.get("kind") != "Table":
        raise UserError(str(value.get("message") or f"{resource.resource}: no table"))
    columns = [entry for entry in value["columnDefinitions"] if wide or not entry.get("priority")]
    places = [value["columnDefinitions"].index(entry) for entry in columns]
    rows = [[entry["name"].upper() for entry in columns]]
    rows += [[cell(row["cells"][place]) for place in places] for row in value.get("rows") or []]
    return aligned(rows)


def cell(value: object) -> str:
    """A cell as kubectl shows it."""
    return "<none>" if value in (None, "") else str(value)


def aligned(rows: list[list[str]]) -> str:
    """Columns padded to their widest cell and three spaces, as kubectl's printer does."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
