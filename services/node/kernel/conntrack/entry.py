"""Tracked connections: a tuple each way, a state, a deadline (Linux include/net/netfilter/nf_conntrack.h)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podwire.services.node.kernel.flows import Flow

type Tuple = tuple[int, int, int, int, int]
"""(protocol, source, source port, destination, destination port); ICMP's ports are the echo identifier."""

ORIGINAL, REPLY = 0, 1


def inverse(tuple_: Tuple) -> Tuple:
    """The tuple of an answer."""
    protocol, source, source_port, destination, destination_port = tuple_
    return (protocol, destination, destination_port, source, source_port)


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
        self.mark = 0
        self.trace = ""
        self.flows: list[Flow] = []

    def refresh(self, now: int, timeout: int) -> None:
        """A packet passed: live until `timeout` ns from now."""
        self.timeout = timeout
        self.expires = now + timeout

    def invalidate_flows(self) -> None:
        """Make later packets of this connection walk again, since its state changed."""
        for flow in self.flows:
            flow.kill()
        self.flows.clear()
