"""The three patches: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386), strategic merge patch.

Strategic merge takes its merge keys from the definitions' `x-kubernetes-patch-*` (apimachinery
`util/strategicpatch/patch.go`). Server-side apply is `applying`.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import copy_json, items
from podwire.services.apiserver.core.errors import ApiError, bad_request
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.schema import definitions

_MOST_OPERATIONS: Final = 10_000
_MOST_COPIED: Final = 3 * 1024 * 1024
_ABSENT: Final = object()
_DELETE_PRIMITIVES: Final = "$deleteFromPrimitiveList/"
_ELEMENT_ORDER: Final = "$setElementOrder/"


def json_patch(document: Json, operations: object) -> Json:
    """RFC 6902; raises ApiError 400 for a malformed patch and 422 for one that does not apply."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > _MOST_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", text)
    result: Any = copy_json(document)
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("error decoding patch: an operation needs op and path")
        if operation.get("op") == "copy":
            copied = _count_copy(result, operation, copied)
        result = _apply_operation(result, operation)
    if not isinstance(result, dict):
        raise _unappliable("the patched document is not an object")
    return result


def _count_copy(document: Any, operation: Json, copied: int) -> int:
    """Bytes copied so far with this operation; copies of copies would double without end."""
    size = len(to_json(_read(document, _pointer(str(operation.get("from", ""))))))
    if copied + size > _MOST_COPIED:
        raise _unappliable(f"Unable to complete the copy, the accumulated copy size exceeds {_MOST_COPIED} bytes")
    return copied + size


def _apply_operation(document: Any, operation: Json) -> Any:
    kind, path = operation.get("op"), _pointer(operation["path"])
    if kind == "remove":
        return _remove(document, path)
    if kind == "test":
        if _read(document, path) != operation.get("value"):
            raise _unappliable(f"testing value {operation['path']} failed")
        return document
    if kind in ("add", "replace"):
        if kind == "replace":
            _read(document, path)
        return _put(document, path, operation.get("value"), kind == "replace")
    if kind in ("move", "copy"):
        source = _pointer(str(operation.get("from", "")))
        value = copy_json(_read(document, source))
        return _put(_remove(document, source) if kind == "move" else document, path, value, False)
    raise bad_request(f"error decoding patch: Unexpected kind: {kind}")


def _unappliable(why: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}")


def _pointer(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise bad_request(f"error decoding patch: path {path!r} must start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(container: list[Any], part: str, limit: int) -> int:
    if not part.isascii() or not part.isdigit() or len(part) > 9 or int(part) > limit:
        raise _unappliable(f"Unable to access invalid index: {part}")
    return int(part)


def _read(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part, len(document) - 1)]
        else:
            raise _unappliable(f"path /{'/'.join(path)} is missing")
    return document


def _put(document: Any, path: list[str], value: Any, replace: bool) -> Any:
    if not path:
        return value
    parent, last = _read(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-" and not replace:
        parent.append(value)
    elif isinstance(parent, list) and replace:
        parent[_index(parent, last, len(parent) - 1)] = value
    elif isinstance(parent, list):
        parent.insert(_index(parent, last, len(parent)), value)
    else:
        raise _unappliable(f"path /{'/'.join(path)} is missing")
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        raise _unappliable("the whole document cannot be removed")
    _read(document, path)
    parent, last = _read(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[int(last)]
    return document


def merge_patch(document: Json, patch: Json) -> Json:
    """RFC 7386."""
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            current = result.get(key)
            result[key] = merge_patch(current if isinstance(current, dict) else {}, value)
        else:
            result[key] = copy_json(value)
    return result


def strategic_merge(document: Json, patch: Json, definition: str) -> Json:
    """Strategic merge by a named definition; raises ApiError 400 for a patch that breaks the form."""
    return _merge_object(document, patch, definition)


def _merge_object(document: Json, patch: Json, definition: str) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        replaced: Json = _without_directives({key: value for key, value in patch.items() if key != "$patch"})
        return replaced
    if directive == "delete":
        return {}
    fields = definitions().get(definition, {}).get("properties", {})
    result = _retained(document, patch)
    for key in patch:
        if key.startswith(_DELETE_PRIMITIVES):
            name = key.removeprefix(_DELETE_PRIMITIVES)
            result[name] = [entry for entry in items(result, name) if entry not in items(patch, key)]
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(result, key, value, fields.get(key, {}), patch.get(_ELEMENT_ORDER + key))
    for key, order in patch.items():
        name = key.removeprefix(_ELEMENT_ORDER)
        if key.startswith(_ELEMENT_ORDER) and name not in patch and name in result:
            result[name] = _ordered(result[name], order, fields.get(name, {}).get("x-kubernetes-patch-merge-key"))
    return result


def _retained(document: Json, patch: Json) -> Json:
    if "$retainKeys" not in patch:
        return dict(document)
    keep = items(patch, "$retainKeys")
    return {key: value for key, value in document.items() if key in keep}


def _merge_field(result: Json, key: str, value: Any, part: Json, order: Any) -> None:
    current = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        definition = part.get("$ref", "").rpartition("/")[2]
        result[key] = _merge_object(current if isinstance(current, dict) else {}, value, definition)
    elif isinstance(value, list) and "merge" in part.get("x-kubernetes-patch-strategy", "").split(","):
        existing = current if isinstance(current, list) else []
        merge_key = part.get("x-kubernetes-patch-merge-key")
        merged = _merge_list(existing, value, part, merge_key)
        result[key] = _ordered(merged, order, merge_key) if isinstance(order, list) else merged
    else:
        result[key] = _without_directives(copy_json(value))


def _merge_list(existing: list[Any], patch: list[Any], part: Json, merge_key: str | None) -> list[Any]:
    if merge_key is None:
        return existing + [value for value in patch if value not in existing]
    if any(isinstance(entry, dict) and entry.get("$patch") == "replace" for entry in patch):
        kept = [entry for entry in patch if not (isinstance(entry, dict) and entry.get("$patch") == "replace")]
        return [_without_directives(entry) for entry in kept]
    definition = part.get("items", {}).get("$ref", "").rpartition("/")[2]
    result = list(existing)
    for entry in patch:
        if not isinstance(entry, dict) or merge_key not in entry:
            raise bad_request(f"map: {entry} does not contain declared merge key: {merge_key}")
        _merge_element(result, entry, merge_key, definition)
    return result


def _merge_element(result: list[Any], entry: Json, merge_key: str, definition: str) -> None:
    place = next((at for at, item in enumerate(result) if item.get(merge_key) == entry[merge_key]), None)
    if entry.get("$patch") == "delete":
        result[:] = [item for item in result if item.get(merge_key) != entry[merge_key]]
    elif place is None:
        result.append(_merge_object({}, entry, definition))
    else:
        result[place] = _merge_object(result[place], entry, definition)


def _ordered(values: list[Any], order: Any, merge_key: str | None) -> list[Any]:
    """Listed elements in the given order; the others keep their place relative to the front (upstream's rule)."""
    if not isinstance(order, list):
        return values

    def identity(value: Any) -> Any:
        return value.get(merge_key) if merge_key and isinstance(value, dict) else value

    wanted = [identity(entry) for entry in order]
    listed = {at: value for at, value in enumerate(values) if identity(value) in wanted}
    ranked = sorted(listed.values(), key=lambda value: wanted.index(identity(value)))
    replacement = iter(ranked)
    return [next(replacement) if at in listed else value for at, value in enumerate(values)]


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_directives(entry)
            for key, entry in value.items()
            if not key.startswith("$") and entry is not None
        }
    if isinstance(value, list):
        return [_without_directives(entry) for entry in value]
    return value
