"""OpenAPI v2, one document for everything served: the v3 documents in Swagger 2.0's form.

kubectl 1.27 and 1.28 validate with it and take merge keys from it. Made when it is first asked for.
Source: kube-openapi `pkg/handler`, `pkg/common`; the numbers in `openapi_v2_protobuf` are gnostic's.
"""

from typing import Any, Final

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.core import openapi
from podwire.services.apiserver.core.custom.catalogue import Catalogue
from podwire.services.apiserver.core.custom.published import without_junctors
from podwire.services.apiserver.core.errors import not_acceptable
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.negotiation import clauses
from podwire.services.apiserver.core.openapi_v2_protobuf import write

_JSON: Final = "application/json"
_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_ASKED_AS: Final = (_PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
_PRODUCED: Final = [_JSON, "application/yaml", "application/vnd.kubernetes.protobuf"]


def answer(accept: str, kinds: Catalogue) -> ApiResponse:
    """`/openapi/v2` in the form that is accepted first; raises ApiError 406."""
    for media, _ in clauses(accept or "*/*"):
        if media in _ASKED_AS:
            return ApiResponse(code=200, content_type=_PROTOBUF, body=_as_protobuf(kinds))
        if media in (_JSON, "application/*", "*/*"):
            return ApiResponse(code=200, content_type=_JSON, body=_as_json(kinds))
    raise not_acceptable([_JSON, _PROTOBUF])


def _as_json(kinds: Catalogue) -> bytes:
    if _JSON not in kinds.documents:
        kinds.documents[_JSON] = to_json(document(kinds))
    return kinds.documents[_JSON]


def _as_protobuf(kinds: Catalogue) -> bytes:
    if _PROTOBUF not in kinds.documents:
        kinds.documents[_PROTOBUF] = write(document(kinds))
    return kinds.documents[_PROTOBUF]


def document(kinds: Catalogue) -> Json:
    """The document."""
    paths: Json = {}
    definitions: Json = {}
    for group, version in kinds.group_versions:
        part = openapi.build(group, version, kinds)
        paths |= {path: _path(entry) for path, entry in part["paths"].items()}
        made = [kind.definition for kind in kinds.in_group_version(group, version) if kind.custom is not None]
        shown = {
            name: without_junctors(entry) if name in made else entry
            for name, entry in part["components"]["schemas"].items()
        }
        definitions |= {name: _schema(entry) for name, entry in shown.items()}
    definitions[openapi.INT_OR_STRING] = {"type": "string", "format": "int-or-string"}
    definitions[openapi.QUANTITY] = {"type": "string"}
    information = {"title": "Kubernetes", "version": "v1.33.0"}
    shown = {"paths": dict(sorted(paths.items())), "definitions": dict(sorted(definitions.items()))}
    return {"swagger": "2.0", "info": information} | shown


def _path(entry: Json) -> Json:
    return {
        method: [_parameter(part) for part in value] if method == "parameters" else _operation(value)
        for method, value in entry.items()
    }


def _parameter(part: Json) -> Json:
    plain: Json = {key: value for key, value in part.items() if key != "schema"}
    plain |= part["schema"]
    return plain


def _operation(value: Json) -> Json:
    operation = {key: entry for key, entry in value.items() if key not in ("requestBody", "responses", "parameters")}
    parameters = [_parameter(part) for part in value["parameters"]]
    body = value.get("requestBody")
    consumes = ["*/*"]
    if body is not None:
        consumes = list(body["content"])
        schema = _schema(body["content"][consumes[0]]["schema"])
        parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": schema})
    responses = {code: _response(entry) for code, entry in value["responses"].items()}
    plain = {"consumes": consumes, "produces": _PRODUCED, "schemes": ["https"]}
    return operation | plain | {"parameters": parameters, "responses": responses}


def _response(value: Json) -> Json:
    said: Json = {"description": value["description"]}
    if "content" in value:
        said["schema"] = _schema(value["content"][_JSON]["schema"])
    return said


def _schema(part: Any) -> Any:
    if isinstance(part, list):
        return [_schema(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    result: Json = {}
    for key, value in part.items():
        if key == "$ref":
            result["$ref"] = f"#/definitions/{value.rpartition('/')[2]}"
        elif key == "allOf":
            result |= _schema(value[0])
        elif key == "properties":
            result[key] = {name: _schema(entry) for name, entry in value.items()}
        else:
            result[key] = _schema(value) if key in ("items", "additionalProperties") else value
    return result
