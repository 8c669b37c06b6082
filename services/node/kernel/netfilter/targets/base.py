"""The interface of a target extension."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

CONTINUE, ACCEPT, DROP, RETURN = "CONTINUE", "ACCEPT", "DROP", "RETURN"


class Target(ABC):
    """The `-j` of a rule; `tables` and `hooks` say where it may stand (empty: anywhere)."""

    name: ClassVar[str]
    options: ClassVar[dict[str, int]] = {}
    tables: ClassVar[tuple[str, ...]] = ()
    hooks: tuple[str, ...] = ()
    protocols: ClassVar[tuple[int, ...]] = ()
    """Those that a rule must name one of (empty: any)."""
    needs_conntrack: ClassVar[bool] = False

    def accept(self, option: str, values: Sequence[str]) -> None:
        """Take one option; NetfilterError if its value is bad."""
        raise NetfilterError(f'unknown option "--{option}"')

    def finish(self) -> None:  # noqa: B027  # not every extension requires something
        """Check that nothing required is missing."""

    @abstractmethod
    def apply(self, packet: Packet, at: "Evaluation") -> str:
        """Act on a packet: CONTINUE, ACCEPT, DROP or RETURN."""

    def save(self) -> str:
        """The options as iptables-save prints them, without `-j NAME`."""
        return ""

    def describe(self) -> str:
        """What `iptables -L -n` prints after the matches."""
        return ""
