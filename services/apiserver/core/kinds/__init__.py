"""Every built-in kind: a further one is one more row, in the file of its area. What is served is `custom.catalogue`."""

from typing import Final

from podwire.services.apiserver.core.kinds import access, core, extensions, network, workloads
from podwire.services.apiserver.core.kinds.kind import Kind, Subresource

__all__ = ["BUILT_IN", "Kind", "Subresource"]

BUILT_IN: Final[tuple[Kind, ...]] = (
    *core.KINDS,
    *workloads.KINDS,
    *core.OTHERS,
    *network.KINDS,
    *access.KINDS,
    *extensions.KINDS,
)
