"""The last step of an answer: the JSON that was decided on, in the form that the client accepts.

Source: apiserver `endpoints/handlers/responsewriters/writers.go`, `endpoints/handlers/negotiation/negotiate.go`
(isPrettyPrint), apimachinery `runtime/serializer/streaming`, `util/framer`.
"""

from typing import Any, Final

import msgspec
import yaml

from podwire.proto.messages.api import ApiResponse
from podwire.services.apiserver.core import negotiation
from podwire.services.apiserver.core.decisions import JSON
from podwire.services.apiserver.core.errors import ApiError, not_acceptable
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.protobuf import envelope

_PEOPLE: Final = ("curl", "Wget", "Mozilla/5.0")
"""User agents that are shown indented JSON."""
_ALWAYS_JSON: Final = ("/openapi", "/version")


class Wish(msgspec.Struct, frozen=True):
    """What a client says about the form of its answer."""

    path: str
    accept: str = "*/*"
    agent: str = ""
    pretty: str = ""
    """The query's `pretty`, or ""."""

    @property
    def indented(self) -> bool:
        """Whether JSON is indented."""
        if self.pretty:
            return self.pretty in ("1", "true")
        return self.agent.startswith(_PEOPLE)


def present(answer: ApiResponse, wish: Wish) -> ApiResponse:
    """The answer in the accepted form; what is no JSON stays as it is."""
    if answer.content_type != JSON or wish.path.startswith(_ALWAYS_JSON):
        return answer
    found = negotiation.accepted(wish.accept)
    media = JSON if found is None else found.media
    if media == JSON:
        return _with(answer, msgspec.json.format(answer.body, indent=2)) if wish.indented else answer
    value = msgspec.json.decode(answer.body)
    if media == negotiation.YAML:
        return _with(answer, to_yaml(value), media)
    return _in_protobuf(answer, value, wish.accept)


def _in_protobuf(answer: ApiResponse, value: Json, accept: str) -> ApiResponse:
    if envelope.serves(value):
        return _with(answer, envelope.write(value), envelope.MEDIA)
    if any(media in (JSON, "*/*", "application/*") for media, _ in negotiation.clauses(accept)):
        return answer
    error = not_acceptable([JSON, negotiation.YAML])
    return ApiResponse(code=error.code, body=to_json(error.status()))


def _with(answer: ApiResponse, body: bytes, media: str = JSON) -> ApiResponse:
    return ApiResponse(code=answer.code, content_type=media, body=body, warnings=answer.warnings)


def to_yaml(value: Any) -> bytes:
    """YAML as sigs.k8s.io/yaml lays it out: keys sorted, lists not indented."""
    written: bytes = yaml.dump(
        value, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True, width=2**31 - 1, encoding="utf-8"
    )
    return written


class WatchForm:
    """How the events of one watch are written; raises ApiError 406 for YAML, which has no frames."""

    def __init__(self, media: str) -> None:
        if media == negotiation.YAML:
            raise not_acceptable([JSON, f"{envelope.MEDIA};stream=watch"])
        self._protobuf = media == envelope.MEDIA

    @property
    def is_text(self) -> bool:
        """Whether events are text, as WebSocket wants to know."""
        return not self._protobuf

    @property
    def content_type(self) -> str:
        """The answer's Content-Type."""
        return f"{envelope.MEDIA};stream=watch" if self._protobuf else JSON

    def frame(self, event: Json) -> bytes:
        """One event: a line of JSON, or a protobuf message after its length."""
        message = self.message(event)
        return len(message).to_bytes(4, "big") + message if self._protobuf else message + b"\n"

    def message(self, event: Json) -> bytes:
        """One event where the wire keeps messages apart."""
        return envelope.watch_event(event) if self._protobuf else to_json(event)


def error_event(error: ApiError) -> Json:
    """The event that ends a watch."""
    return {"type": "ERROR", "object": error.status()}
