"""Which form of an answer a client accepts (apiserver `endpoints/handlers/negotiation/negotiate.go`).

JSON, YAML and protobuf are served; the first acceptable clause counts, better quality before worse. Tables are never
in protobuf: their cells are JSON.
"""

from typing import Final

from podwire.services.apiserver.core.decisions import JSON, View
from podwire.services.apiserver.core.errors import not_acceptable
from podwire.services.apiserver.core.protobuf.envelope import MEDIA as PROTOBUF
from podwire.services.apiserver.core.request import Request

YAML: Final = "application/yaml"
SERVED: Final = [JSON, YAML, PROTOBUF]
_ANY: Final = ("*/*", "application/*", "")
_SHAPES: Final = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


def clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Media types with their parameters, the better quality first, else as listed."""
    found = []
    for clause in accept.split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        pairs = [parameter.partition("=") for parameter in parameters]
        found.append((media.lower(), {name.strip(): value.strip() for name, _, value in pairs}))
    return sorted(found, key=lambda entry: -_quality(entry[1].get("q", "1")))


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0


def accepted(accept: str) -> View | None:
    """The first acceptable form, or None."""
    for media, parameters in clauses(accept or "*/*"):
        media = JSON if media in _ANY else media
        shape = parameters.get("as", "")
        if media not in SERVED or (media == PROTOBUF and shape == "Table"):
            continue
        if not shape or (shape in _SHAPES and parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1"):
            return View(shape, media=media)
    return None


def view(request: Request) -> View:
    """The first acceptable form; raises ApiError 406."""
    found = accepted(request.message.accept)
    if found is None:
        raise not_acceptable(SERVED)
    return View(found.shape, request.query.get("includeObject") or "Metadata", media=found.media)
