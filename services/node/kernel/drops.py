"""Why packets die, in the names of Linux's enum skb_drop_reason (include/net/dropreason-core.h)."""

from collections import deque
from enum import StrEnum
from typing import Final

from podwire.proto.messages.telemetry import Drop

RECENT: Final = 256
LOST_ON_THE_LINK: Final = "LOST_ON_THE_LINK"
"""Not a kernel's reason: the frame never came."""


class DropReason(StrEnum):
    """The reasons that this kernel has occasion to give."""

    NOT_SPECIFIED = "NOT_SPECIFIED"
    NO_SOCKET = "NO_SOCKET"
    PKT_TOO_SMALL = "PKT_TOO_SMALL"
    TCP_CSUM = "TCP_CSUM"
    UDP_CSUM = "UDP_CSUM"
    ICMP_CSUM = "ICMP_CSUM"
    NETFILTER_DROP = "NETFILTER_DROP"
    OTHERHOST = "OTHERHOST"
    IP_CSUM = "IP_CSUM"
    IP_INHDR = "IP_INHDR"  # also what Linux gives when the TTL runs out in ip_forward
    IP_RPFILTER = "IP_RPFILTER"
    IP_NOPROTO = "IP_NOPROTO"
    IP_OUTNOROUTES = "IP_OUTNOROUTES"
    IP_INNOROUTES = "IP_INNOROUTES"
    IP_INADDRERRORS = "IP_INADDRERRORS"
    IP_INVALID_SOURCE = "IP_INVALID_SOURCE"
    IP_INVALID_DEST = "IP_INVALID_DEST"
    IP_LOCAL_SOURCE = "IP_LOCAL_SOURCE"
    IP_LOCALNET = "IP_LOCALNET"
    INVALID_PROTO = "INVALID_PROTO"
    IPV6DISABLED = "IPV6DISABLED"
    IPV6_NDISC_HOP_LIMIT = "IPV6_NDISC_HOP_LIMIT"
    IPV6_NDISC_BAD_OPTIONS = "IPV6_NDISC_BAD_OPTIONS"
    UNHANDLED_PROTO = "UNHANDLED_PROTO"
    SOCKET_RCVBUFF = "SOCKET_RCVBUFF"
    SOCKET_BACKLOG = "SOCKET_BACKLOG"
    QDISC_DROP = "QDISC_DROP"
    NEIGH_CREATEFAIL = "NEIGH_CREATEFAIL"
    NEIGH_FAILED = "NEIGH_FAILED"
    NEIGH_QUEUEFULL = "NEIGH_QUEUEFULL"
    NEIGH_DEAD = "NEIGH_DEAD"
    CPU_BACKLOG = "CPU_BACKLOG"
    RECURSION_LIMIT = "RECURSION_LIMIT"
    DEV_READY = "DEV_READY"
    DEV_HDR = "DEV_HDR"
    HDR_TRUNC = "HDR_TRUNC"
    PKT_TOO_BIG = "PKT_TOO_BIG"
    DUP_FRAG = "DUP_FRAG"
    FRAG_REASM_TIMEOUT = "FRAG_REASM_TIMEOUT"
    FRAG_TOO_FAR = "FRAG_TOO_FAR"
    NOMEM = "NOMEM"
    TCP_FLAGS = "TCP_FLAGS"
    TCP_CLOSE = "TCP_CLOSE"
    TCP_RESET = "TCP_RESET"
    TCP_OLD_DATA = "TCP_OLD_DATA"
    TCP_TOO_OLD_ACK = "TCP_TOO_OLD_ACK"
    TCP_OVERWINDOW = "TCP_OVERWINDOW"
    TCP_INVALID_SEQUENCE = "TCP_INVALID_SEQUENCE"
    TCP_INVALID_SYN = "TCP_INVALID_SYN"
    TCP_OFO_DROP = "TCP_OFO_DROP"
    MAC_INVALID_SOURCE = "MAC_INVALID_SOURCE"
    VXLAN_INVALID_HDR = "VXLAN_INVALID_HDR"
    VXLAN_VNI_NOT_FOUND = "VXLAN_VNI_NOT_FOUND"
    VXLAN_NO_REMOTE = "VXLAN_NO_REMOTE"


class DropLog:
    """Counts by (namespace, reason), how many in all, and the most recent drops."""

    __slots__ = ("counts", "recent", "total")

    def __init__(self) -> None:
        self.counts: dict[tuple[str, DropReason], int] = {}
        self.recent: deque[Drop] = deque(maxlen=RECENT)
        self.total = 0

    def since(self, total: int) -> list[Drop]:
        """The drops after the first `total`, as far as they are still among the recent ones."""
        new = min(self.total - total, len(self.recent))
        return [self.recent[index] for index in range(len(self.recent) - new, len(self.recent))]

    def count(self, netns: str, reason: DropReason) -> int:
        """How many packets died in a namespace for a reason."""
        return self.counts.get((netns, reason), 0)
