"""Tracked connections: a tuple each way, a state, a deadline (Linux include/net/netfilter/nf_conntrack.h)."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.sctp import Tracking
    from podwire.services.node.kernel.flows.flow import Flow
    from podwire.services.node.kernel.packet import Packet

type Tuple = tuple[int, int, int, int, int]
"""(protocol, source, source port, destination, destination port).

ICMP's ports are both the identifier, with the type of the question 16 bits above it.
"""
IDENTIFIER: Final = 0xFFFF

ORIGINAL, REPLY = 0, 1


def inverse(tuple_: Tuple) -> Tuple:
    """The tuple of an answer."""
    protocol, source, source_port, destination, destination_port = tuple_
    return (protocol, destination, destination_port, source, source_port)


def attach(made: "Packet", cause: "Packet") -> None:
    """Have a packet of our own making belong to the connection of the packet that it answers (nf_conntrack_attach).

    So an ICMP error or a reset is RELATED even if its cause never got far enough to be entered into the table.
    """
    if cause.connection is None:
        return
    made.connection, made.direction = cause.connection, REPLY if cause.direction == ORIGINAL else ORIGINAL
    made.connection_state, made.related = "RELATED", True


class Connection:
    """One connection. Times are ns; `nat_source` and `nat_destination` say what translation is in force."""

    __slots__ = (
        "assured",
        "confirmed",
        "created",
        "expires",
        "flows",
        "mark",
        "nat_destination",
        "nat_destination_done",
        "nat_source",
        "nat_source_done",
        "sctp",
        "seen_reply",
        "tcp_state",
        "timeout",
        "trace",
        "tuples",
    )

    def __init__(self, original: Tuple, now: int) -> None:
        self.tuples: list[Tuple] = [original, inverse(original)]
        self.created = now
        self.expires = now
        self.timeout = 0
        self.seen_reply = self.assured = self.confirmed = False
        self.nat_source = self.nat_destination = False
        self.nat_source_done = self.nat_destination_done = False
        self.tcp_state = "NONE"
        self.sctp: Tracking | None = None
        self.mark = 0
        self.trace = ""
        self.flows: list[Flow] = []

    @property
    def state(self) -> str:
        """TCP's or SCTP's state as `conntrack -L` prints it."""
        return self.tcp_state if self.sctp is None else self.sctp.state

    def refresh(self, now: int, timeout: int) -> None:
        """A packet passed: live until `timeout` ns from now."""
        self.timeout = timeout
        self.expires = now + timeout

    def invalidate_flows(self) -> None:
        """Make later packets of this connection walk again, since its state changed."""
        for flow in self.flows:
            flow.kill()
        self.flows.clear()
