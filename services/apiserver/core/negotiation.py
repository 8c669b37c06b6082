"""Which form of an answer a client accepts (apiserver `endpoints/handlers/negotiation`)."""

from podwire.services.apiserver.core.decisions import View
from podwire.services.apiserver.core.errors import not_acceptable
from podwire.services.apiserver.core.request import Request

_SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


def clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Media types with their parameters, as listed."""
    found = []
    for clause in accept.split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        pairs = [parameter.partition("=") for parameter in parameters]
        found.append((media.lower(), {name.strip(): value.strip() for name, _, value in pairs}))
    return found


def view(request: Request) -> View:
    """The first acceptable form; raises ApiError 406."""
    for media, parameters in clauses(request.message.accept or "*/*"):
        if media not in ("application/json", "*/*", "application/*", "", "application/yaml"):
            continue
        shape = parameters.get("as", "")
        if not shape:
            return View()
        if shape in _SHAPES and parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            return View(shape, request.query.get("includeObject") or "Metadata")
    raise not_acceptable(["application/json"])
