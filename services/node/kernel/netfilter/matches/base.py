"""The interface of a match extension."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


class Match(ABC):
    """One `-m` of a rule: fed its options while the rule is parsed, then asked about packets."""

    name: ClassVar[str]
    options: ClassVar[dict[str, int]]
    """Option → how many words follow it."""
    hooks: ClassVar[tuple[str, ...]] = ()
    """Where it may stand (empty: anywhere)."""

    @abstractmethod
    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        """Take one option; NetfilterError if its value is bad."""

    def finish(self) -> None:  # noqa: B027  # not every extension requires something
        """Check that nothing required is missing."""

    @abstractmethod
    def test(self, packet: Packet, at: "Evaluation") -> bool:
        """Whether a packet matches."""

    @abstractmethod
    def save(self) -> str:
        """The options as iptables-save prints them, without `-m name`."""

    @abstractmethod
    def describe(self) -> str:
        """What `iptables -L -n` prints."""


def not_inverted(option: str, inverted: bool) -> None:
    """Refuse `!` before an option that has no opposite."""
    if inverted:
        raise NetfilterError(f'unexpected "!" flag before --{option}')


def bang(inverted: bool) -> str:
    """`! ` where a condition is turned around."""
    return "! " if inverted else ""
