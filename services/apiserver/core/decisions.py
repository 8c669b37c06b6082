"""What a request leads to: an answer, writes to the event log, a watch, or a stream to a container."""

from dataclasses import dataclass, field
from typing import Final

from podwire.proto.kube.labels import LabelSelector
from podwire.proto.messages.api import ApiResponse
from podwire.proto.messages.events import ObjectEvent
from podwire.proto.messages.kubelet import KubeletRequest
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.selectors import FieldSelector

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Append:
    """One event to append, expecting the subject's last sequence."""

    key: ObjectKey
    event: ObjectEvent
    expected: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer."""

    response: ApiResponse


@dataclass(frozen=True, slots=True)
class Write:
    """Claims first, then the change, then releases of claims; `result` is answered once the change is applied.

    A conflict is decided anew on the newer state: where the caller made a condition, that says so.
    """

    main: Append
    result: Json
    code: int = 200
    claims: tuple[Append, ...] = ()
    releases: tuple[Append, ...] = ()
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Many:
    """Several writes of one request (deletecollection); `result` is answered."""

    writes: tuple[Write, ...]
    result: Json


@dataclass(frozen=True, slots=True)
class View:
    """How objects are shown: as themselves, as rows of a Table, or by metadata alone; and in which media type."""

    shape: str = ""
    include: str = "Metadata"
    columns_shown: bool = True
    media: str = JSON


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """A watch over HTTP, from a revision on; `initial` objects are shown first, as added."""

    kind: Kind
    namespace: str
    labels: LabelSelector
    fields: FieldSelector
    view: View
    start: int
    initial: tuple[Json, ...] = ()
    bookmarks: bool = False
    initial_bookmark: bool = False
    timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A session with a container, through the kubelet of its node."""

    node: str
    request: KubeletRequest
    protocol: str
    """`log`, `exec`, `attach`, `portforward` or `proxy`."""
    ports: tuple[int, ...] = ()
    """For port-forward over WebSocket channels: the ports that the query names."""
    prefix: str = ""
    """For proxy: what stands before the path that the pod is asked for."""
    secure: bool = False
    """For proxy: over TLS."""


@dataclass(frozen=True, slots=True)
class SignToken:
    """A TokenRequest's answer, which lacks only the token that is signed from the claims."""

    claims: Json
    result: Json


@dataclass(frozen=True, slots=True)
class ReviewToken:
    """A TokenReview, whose status says whom the token proves for any of the audiences."""

    result: Json
    token: str
    audiences: tuple[str, ...]


type Decision = Answer | Write | Many | OpenWatch | OpenStream | SignToken | ReviewToken


def json_answer(value: object, code: int = 200, warnings: list[str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(ApiResponse(code=code, body=to_json(value), warnings=warnings or []))
