"""Match extensions, by the name that `-m` gives."""

from typing import Final

from podwire.services.node.kernel.netfilter.matches.base import Match
from podwire.services.node.kernel.netfilter.matches.interface import AddressType, Physdev
from podwire.services.node.kernel.netfilter.matches.ipvs import IpvsMatch
from podwire.services.node.kernel.netfilter.matches.rate import Limit, Recent, Recent6, Statistic
from podwire.services.node.kernel.netfilter.matches.sctp import Sctp
from podwire.services.node.kernel.netfilter.matches.sets import SetMatch
from podwire.services.node.kernel.netfilter.matches.socket import Owner, SocketMatch
from podwire.services.node.kernel.netfilter.matches.state import Comment, ConnectionMark, Conntrack, Mark, State
from podwire.services.node.kernel.netfilter.matches.transport import Icmp, Icmp6, Multiport, Tcp, Udp

MATCHES: Final[dict[str, type[Match]]] = {
    match.name: match
    for match in (
        AddressType,
        Comment,
        ConnectionMark,
        Conntrack,
        Icmp,
        IpvsMatch,
        Limit,
        Mark,
        Multiport,
        Owner,
        Physdev,
        Recent,
        Sctp,
        SetMatch,
        SocketMatch,
        State,
        Statistic,
        Tcp,
        Udp,
    )
}

MATCHES6: Final[dict[str, type[Match]]] = {
    **{name: match for name, match in MATCHES.items() if name != Icmp.name},
    Icmp6.name: Icmp6,
    Recent6.name: Recent6,
}
"""The same for ip6tables."""
