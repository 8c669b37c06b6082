"""Fields that a body names twice (KEP-2885): the last one counts, and strict or warning validation says so.

Source: sigs.k8s.io/json (`duplicate field "spec.replicas"`), sigs.k8s.io/yaml (`key "a" already set in map`).
"""

import json
from typing import Any

import msgspec
import yaml

from podwire.services.apiserver.core import bodies
from podwire.services.apiserver.core.json_types import to_json
from podwire.services.apiserver.core.protobuf import envelope


class _Seen(dict[str, Any]):
    """An object with the names that it was given twice."""

    twice: tuple[str, ...] = ()


def find(body: bytes, content_type: str) -> list[str]:
    """A sentence for each field that is there twice; none for a body that cannot be read (its reader says so)."""
    try:
        if bodies.media_type(content_type) == envelope.MEDIA:
            return []
        if bodies.media_type(content_type) in bodies.YAML:
            return _in_yaml(body)
        return _in_json(body)
    except (ValueError, RecursionError, yaml.YAMLError):
        return []


def _in_json(body: bytes) -> list[str]:
    if _is_its_own_encoding(body):
        return []
    marked: list[_Seen] = []

    def keep(pairs: list[tuple[str, Any]]) -> _Seen:
        value = _Seen(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            value.twice = tuple(name for name in value if names.count(name) > 1)
            marked.append(value)
        return value

    value = json.loads(body, object_pairs_hook=keep)
    return [f'duplicate field "{path}"' for path in _paths(value, "")] if marked else []


def _is_its_own_encoding(body: bytes) -> bool:
    """What comes out as it went in has no field twice: the way of our own components' bodies."""
    try:
        return to_json(msgspec.json.decode(body)) == body
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _paths(value: Any, path: str) -> list[str]:
    if isinstance(value, list):
        return [found for index, entry in enumerate(value) for found in _paths(entry, f"{path}[{index}]")]
    if not isinstance(value, _Seen):
        return []
    places = {name: f"{path}.{name}" if path else name for name in value}
    own = [places[name] for name in value.twice]
    return own + [found for name, entry in value.items() for found in _paths(entry, places[name])]


def _in_yaml(body: bytes) -> list[str]:
    root = yaml.compose(body, Loader=bodies.Loader)
    found: list[str] = []
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            found += _twice_in(node)
            waiting += [entry for _, entry in reversed(node.value)]
    return found


def _twice_in(node: yaml.MappingNode) -> list[str]:
    seen: list[Any] = []
    found = []
    for key, _ in node.value:
        if key.value in seen:
            found.append(f'yaml: line {key.start_mark.line + 1}: key "{key.value}" already set in map')
        seen.append(key.value)
    return found
