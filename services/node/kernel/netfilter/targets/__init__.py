"""Target extensions, by the name that `-j` gives."""

from typing import Final

from podwire.services.node.kernel.netfilter.targets.base import Target
from podwire.services.node.kernel.netfilter.targets.connection_mark import ConnectionMark
from podwire.services.node.kernel.netfilter.targets.nat import (
    DestinationNat,
    DestinationNat6,
    Masquerade,
    Redirect,
    SourceNat,
    SourceNat6,
)
from podwire.services.node.kernel.netfilter.targets.other import Classify, ConntrackTarget, Log, MarkTarget, NoTrack
from podwire.services.node.kernel.netfilter.targets.reject import Reject, Reject6
from podwire.services.node.kernel.netfilter.targets.segment_size import SegmentSize
from podwire.services.node.kernel.netfilter.targets.transparent_proxy import TransparentProxy, TransparentProxy6
from podwire.services.node.kernel.netfilter.targets.verdict import Accept, Drop, Return

TARGETS: Final[dict[str, type[Target]]] = {
    target.name: target
    for target in (
        Accept,
        Classify,
        ConnectionMark,
        ConntrackTarget,
        DestinationNat,
        Drop,
        Log,
        MarkTarget,
        Masquerade,
        NoTrack,
        Redirect,
        Reject,
        Return,
        SegmentSize,
        SourceNat,
        TransparentProxy,
    )
}

TARGETS6: Final[dict[str, type[Target]]] = {
    **TARGETS,
    DestinationNat6.name: DestinationNat6,
    Reject6.name: Reject6,
    SourceNat6.name: SourceNat6,
    TransparentProxy6.name: TransparentProxy6,
}
"""The same for ip6tables."""
