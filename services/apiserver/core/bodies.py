"""Request bodies: JSON, YAML or protobuf, of a bounded depth; anything else is refused by name."""

import math
from contextlib import suppress
from typing import Any, Final

import msgspec
import yaml

from podwire.services.apiserver.core.errors import ApiError, bad_request, unsupported_media
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.protobuf import envelope

ACCEPTED: Final = ["application/json", "application/yaml", envelope.MEDIA]
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")
APPLY: Final = "application/apply-patch+yaml"
_DEPTH: Final = 100


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: times stay text."""


Loader.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for mark, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def media_type(content_type: str) -> str:
    """The media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def read(body: bytes, content_type: str) -> Any:
    """The value in a body; raises ApiError 400 or 415."""
    kind = media_type(content_type) or "application/json"
    if kind in YAML:
        value = _plain(_read_yaml(body))
    elif kind == "application/json" or kind.endswith("+json"):
        value = _read_json(body)
    elif kind == envelope.MEDIA:
        value = envelope.read(body)
    else:
        raise unsupported_media(kind, ACCEPTED)
    _check_depth(value, _DEPTH)
    return value


def read_object(body: bytes, content_type: str) -> Json:
    """The object in a body; raises ApiError 400 or 415."""
    value = read(body, content_type)
    if not isinstance(value, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is not an object")
    return value


def read_configuration(body: bytes) -> Json:
    """The object of a server-side apply, in YAML or (as kubectl sends it) in JSON; raises ApiError 400."""
    if body.lstrip().startswith(b"{"):
        with suppress(ApiError):
            return read_object(body, "application/json")
    try:
        value = read(body, YAML[0])
    except ApiError as error:
        raise bad_request(f"error decoding YAML: {error.message}") from None
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the configuration is not an object")
    return value


def _read_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def _read_yaml(body: bytes) -> Any:
    try:
        _check_yaml(body)
        return yaml.load(body, Loader=Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise bad_request(f"error converting YAML to JSON: yaml: {text}") from None


def _check_yaml(body: bytes) -> None:
    """Refuses what may not be composed: libyaml's composer recurses in C, where depth ends the process."""
    depth = 0
    for event in yaml.parse(body, Loader=Loader):
        if isinstance(event, yaml.AliasEvent):
            raise bad_request("error converting YAML to JSON: aliases are not accepted")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH:
            raise bad_request("exceeded max depth")


def _plain(value: Any, depth: int = _DEPTH) -> Any:
    if depth == 0:
        raise bad_request("exceeded max depth")
    if isinstance(value, dict):
        return {_key(key): _plain(entry, depth - 1) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry, depth - 1) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise bad_request("error converting YAML to JSON: json: unsupported value")
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, int | float):
        return value
    raise bad_request(f"error converting YAML to JSON: unsupported type {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return _text(str(key))
    raise bad_request(f"error converting YAML to JSON: unsupported map key of type {type(key).__name__}")


def _text(text: str) -> str:
    """Refuses half of a surrogate pair, which YAML's escapes can make."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("error converting YAML to JSON: yaml: invalid Unicode character") from None
    return text


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise bad_request("exceeded max depth")
    if isinstance(value, dict):
        for entry in value.values():
            _check_depth(entry, left - 1)
    elif isinstance(value, list):
        for entry in value:
            _check_depth(entry, left - 1)
