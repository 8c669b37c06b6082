"""What a rule may look at beside the packet itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace


@dataclass(slots=True)
class Evaluation:
    """One pass of a packet through one table at one hook; interface names are "" where there is none."""

    namespace: "Namespace"
    hook: str
    table: str
    in_name: str
    out_name: str
    rules_passed: int = 0
