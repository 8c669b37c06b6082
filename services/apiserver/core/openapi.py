"""OpenAPI v3: the index and one document per group and version.

kubectl reads here whether PATCH takes `fieldValidation`, which lists `apply` merges by which key, and what `explain`
prints. Schemas come from the packaged definitions; paths are drawn from the kinds.
"""

import hashlib
from typing import Any, Final

from podwire.services.apiserver.core.custom.catalogue import Catalogue
from podwire.services.apiserver.core.custom.published import published
from podwire.services.apiserver.core.errors import no_such_path
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.schema import definitions

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_REVISION: Final = "v1.33.0-podwire1"
_PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_CUSTOM_PATCH_TYPES: Final = tuple(media for media in _PATCH_TYPES if "strategic" not in media)
_WRITE_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation")
_LIST_PARAMETERS: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "timeoutSeconds",
    "watch",
)
_DESCRIPTIONS: Final = {
    "dryRun": "When present, indicates that modifications should not be persisted.",
    "fieldManager": "fieldManager is a name associated with the actor or entity that is making these changes.",
    "fieldValidation": (
        "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) containing "
        "unknown or duplicate fields."
    ),
}


def _document_name(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(kinds: Catalogue) -> Json:
    """`/openapi/v3`."""
    names = {_document_name(*entry): _revision(kinds, *entry) for entry in kinds.group_versions}
    return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={found}"} for name, found in names.items()}}


def _revision(kinds: Catalogue, group: str, version: str) -> str:
    """What clients cache a document by: its contents' where definitions can change them."""
    if all(kind.custom is None for kind in kinds.in_group_version(group, version)):
        return _REVISION
    return hashlib.sha256(document(_document_name(group, version), kinds)).hexdigest().upper()


def document(name: str, kinds: Catalogue) -> bytes:
    """`/openapi/v3/<name>` as JSON bytes; raises ApiError 404."""
    if name not in kinds.documents:
        kinds.documents[name] = _document(name, kinds)
    return kinds.documents[name]


def _document(name: str, kinds: Catalogue) -> bytes:
    for group, version in kinds.group_versions:
        if _document_name(group, version) == name:
            return to_json(build(group, version, kinds))
    raise no_such_path()


def build(group: str, version: str, kinds: Catalogue) -> Json:
    """The document of a group and version."""
    rows = kinds.in_group_version(group, version)
    paths: Json = {}
    for kind in rows:
        paths |= _paths(kind)
    schemas = _of_custom_kinds(rows)
    also = ["DeleteOptions", "Status", "WatchEvent", "ListMeta"]
    built_in = [kind.definition for kind in rows if kind.custom is None]
    _collect([*built_in, f"{_META}.ObjectMeta", *(f"{_META}.{entry}" for entry in also)], schemas)
    for kind in rows:
        schemas[f"{kind.definition}List"] = _list_schema(kind)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0"},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _of_custom_kinds(rows: list[Kind]) -> Json:
    """The schemas of definitions, as they stand there."""
    found: Json = {}
    for kind in rows:
        if kind.custom is not None:
            schema = published(kind)
            meta = {"description": schema["properties"]["metadata"]["description"]}
            meta["allOf"] = [_reference(f"{_META}.ObjectMeta")]
            found[kind.definition] = schema | {"properties": schema["properties"] | {"metadata": meta}}
    return found


def _collect(names: list[str], schemas: Json) -> None:
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = _definition(name, waiting)


def _definition(name: str, waiting: list[str]) -> Json:
    if name == INT_OR_STRING:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    if name == QUANTITY:
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    converted: Json = _schema(definitions()[name], waiting)
    return converted


def _schema(part: Any, waiting: list[str]) -> Any:
    """One schema part in OpenAPI v3's form: no null types, references into components."""
    if isinstance(part, list):
        return [_schema(entry, waiting) for entry in part]
    if not isinstance(part, dict):
        return part
    result: Json = {}
    for key, value in part.items():
        if key == "type":
            result["type"] = _single_type(value)
        elif key == "$ref":
            target = value.rpartition("/")[2]
            waiting.append(target)
            result["allOf"] = [{"$ref": f"#/components/schemas/{target}"}]
        elif key == "properties":
            result[key] = {name: _schema(entry, waiting) for name, entry in value.items()}
        elif key != "enum":
            result[key] = _schema(value, waiting) if key in ("items", "additionalProperties") else value
    return result


def _single_type(value: Any) -> Any:
    return value if isinstance(value, str) else next(name for name in value if name != "null")


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_schema(kind: Kind) -> Json:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [_reference(f"{_META}.ListMeta")]},
            "items": {"type": "array", "items": {"allOf": [_reference(kind.definition)]}},
        },
        "x-kubernetes-group-version-kind": [_gvk(kind) | {"kind": kind.list_kind}],
    }


def _gvk(kind: Kind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _paths(kind: Kind) -> Json:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scoped = f"{root}/namespaces/{{namespace}}/{kind.resource}" if kind.namespaced else f"{root}/{kind.resource}"
    scope = ["namespace"] if kind.namespaced else []
    paths: Json = {
        scoped: _collection(kind, scope),
        f"{scoped}/{{name}}": _single(kind, [*scope, "name"], kind.definition),
    }
    if kind.namespaced:
        paths[f"{root}/{kind.resource}"] = {"get": _operation(kind, "list", "", _LIST_PARAMETERS)}
    for part in kind.subresources:
        if "patch" in part.verbs:
            paths[f"{scoped}/{{name}}/{part.name}"] = _single(kind, [*scope, "name"], kind.definition, part.name)
    return paths


def _collection(kind: Kind, scope: list[str]) -> Json:
    return {
        "parameters": [_path_parameter(name) for name in scope],
        "get": _operation(kind, "list", "", _LIST_PARAMETERS),
        "post": _operation(kind, "post", "", _WRITE_PARAMETERS, kind.definition),
        "delete": _operation(kind, "deletecollection", "", _LIST_PARAMETERS),
    }


def _single(kind: Kind, scope: list[str], definition: str, subresource: str = "") -> Json:
    entry: Json = {
        "parameters": [_path_parameter(name) for name in scope],
        "get": _operation(kind, "get", subresource, ()),
        "put": _operation(kind, "put", subresource, _WRITE_PARAMETERS, definition),
        "patch": _operation(kind, "patch", subresource, (*_WRITE_PARAMETERS, "force"), definition),
    }
    if not subresource:
        entry["delete"] = _operation(kind, "delete", "", ("dryRun", "gracePeriodSeconds", "propagationPolicy"))
    return entry


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}


def _query_parameter(name: str) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": _DESCRIPTIONS.get(name, name),
        "schema": {"type": "string", "uniqueItems": True},
    }


def _operation(kind: Kind, action: str, subresource: str, parameters: tuple[str, ...], body: str = "") -> Json:
    tag = f"{(kind.group or 'core').partition('.')[0]}_{kind.version}"
    operation: Json = {
        "tags": [tag],
        "operationId": f"{action}{tag.title().replace('_', '')}{kind.kind}{subresource.title()}",
        "parameters": [_query_parameter(name) for name in parameters],
        "responses": {"200": _response(kind, action), "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }
    if body:
        types = ("*/*",) if action != "patch" else _PATCH_TYPES if kind.custom is None else _CUSTOM_PATCH_TYPES
        content = {media: {"schema": _reference(body)} for media in types}
        if action == "patch":
            content = {media: {"schema": {"type": "object"}} for media in types}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _response(kind: Kind, action: str) -> Json:
    name = {"list": f"{kind.definition}List", "deletecollection": f"{_META}.Status", "delete": f"{_META}.Status"}
    schema = _reference(name.get(action, kind.definition))
    return {"description": "OK", "content": {"application/json": {"schema": schema}}}
