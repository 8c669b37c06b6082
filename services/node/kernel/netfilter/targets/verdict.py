"""The verdicts that are not extensions: ACCEPT, DROP, RETURN."""

from typing import TYPE_CHECKING

from podwire.services.node.kernel.netfilter.targets.base import ACCEPT, DROP, RETURN, Target
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


class Accept(Target):
    """Done with this table."""

    name = ACCEPT

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        return ACCEPT


class Drop(Target):
    """The packet dies without a word."""

    name = DROP

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        return DROP


class Return(Target):
    """Back to the calling chain, or to the policy of a builtin one."""

    name = RETURN

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        return RETURN
