"""JSON as iproute2 writes it (lib/json_writer.c): compact for -j, with its own line breaks for -p. Pure."""

import json
from typing import Any


def render(value: Any, *, pretty: bool) -> str:
    """A whole document with its newline."""
    if pretty:
        return _pretty(value, 0) + "\n"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def _pretty(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        return _object(value, depth + 1)
    if isinstance(value, list):
        inside = ",".join(_pretty(each, depth + 1) for each in value)
        return f"[ {inside} ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)


def _object(value: dict[str, Any], depth: int) -> str:
    inner, outer = "\n" + "    " * depth, "\n" + "    " * (depth - 1)
    fields = ",".join(f"{inner}{json.dumps(key)}: {_pretty(each, depth)}" for key, each in value.items())
    return "{" + fields + outer + "}" if value else "{" + outer + "}"
