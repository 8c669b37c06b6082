"""What a URL asks for (apiserver `endpoints/request/requestinfo.go`)."""

from typing import NamedTuple
from urllib.parse import unquote

from podwire.services.apiserver.core.custom.catalogue import Catalogue
from podwire.services.apiserver.core.errors import no_such_path
from podwire.services.apiserver.core.kinds import Kind


class Target(NamedTuple):
    """A resource path: kind, namespace ("" for all or none), name ("" for the collection), subresource."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


def parse(path: str, kinds: Catalogue) -> Target:
    """The resource behind a path, among the kinds that are served; raises ApiError 404 for anything else."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, version, rest = _group_version(parts)
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and kinds.find(group, version, rest[2]) is not None:
        namespace, rest = rest[1], rest[2:]
    if rest[2:3] == ["proxy"]:
        rest = rest[:3]
    if not rest or len(rest) > 3 or not all(rest):
        raise no_such_path()
    kind = kinds.find(group, version, rest[0])
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if kind is None or (subresource and not kind.has(subresource)) or bool(namespace) > kind.namespaced:
        raise no_such_path()
    if name and kind.namespaced and not namespace:
        raise no_such_path()
    return Target(kind, namespace, name, subresource)


def _group_version(parts: list[str]) -> tuple[str, str, list[str]]:
    if len(parts) >= 2 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 3 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    raise no_such_path()
