"""Every kind that is served: a further kind is one more row, in the file of its area."""

from typing import Final

from podwire.services.apiserver.core.kinds import access, core, network, workloads
from podwire.services.apiserver.core.kinds.kind import Kind, Subresource

__all__ = ["BY_RESOURCE", "GROUP_VERSIONS", "KINDS", "Kind", "Subresource", "find", "in_group_version"]

KINDS: Final[tuple[Kind, ...]] = (*core.KINDS, *workloads.KINDS, *core.OTHERS, *network.KINDS, *access.KINDS)
BY_RESOURCE: Final = {(kind.group, kind.version, kind.resource): kind for kind in KINDS}
GROUP_VERSIONS: Final = tuple(dict.fromkeys((kind.group, kind.version) for kind in KINDS))


def find(group: str, version: str, resource: str) -> Kind | None:
    """The row of a resource, if it is served."""
    return BY_RESOURCE.get((group, version, resource))


def in_group_version(group: str, version: str) -> list[Kind]:
    """The rows of one group and version."""
    return [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
