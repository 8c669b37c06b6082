"""What the three modes have in common: kernel operations for everything, or for what changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from podwire.proto.messages.kernel import IpvsService, Operation, Read
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read back from the kernel before a full sync; a mode looks at what it needs."""

    iptables: str = ""
    """`iptables-save` of the family."""
    ipsets: str = ""
    """`ipset save`."""
    nftables: str = ""
    """`nft list ruleset`."""
    virtual_services: tuple[IpvsService, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Every address of the family that the node has, without its prefix length, and its device."""
    has_dummy: bool = False
    """Whether kube-ipvs0 is there."""


class Rulebook(Protocol):
    """What a mode has written into the kernel for one family. Pure: operations come out, nobody is called."""

    def full(self, states: Mapping[PortKey, ServicePortState], observed: Observed) -> list[Operation]:
        """Everything anew, whatever was there of this mode."""
        ...

    def update(self, changes: Sequence[Change]) -> list[Operation]:
        """What changes of Service ports change; only after a `full` that was applied."""
        ...

    def follow_up(self) -> list[Read]:
        """What to ask after a sync; what comes back is for `followed`."""
        ...

    def followed(self, services: Iterable[IpvsService]) -> list[Operation]:
        """What the answers call for."""
        ...

    @property
    def rules(self) -> Mapping[str, int]:
        """How many rules or elements it has written, by table, set or map."""
        ...
