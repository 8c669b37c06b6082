"""How many ICMP errors a host sends to one peer (Linux net/ipv4/icmp.c icmpv4_xrlim_allow, net/ipv4/inetpeer.c).

Every peer has a bucket of time: it fills with the time that passes, up to six intervals, and an error costs one.
Errors about missing IPv4 routes (net/ipv4/route.c ip_error) are counted from the same bucket, up to five seconds.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

BURST: Final = 6
PEER_LIMIT: Final = 1024
MILLISECOND: Final = 1_000_000
LONG_AGO: Final = 60_000 * MILLISECOND
ROUTE_ERROR_BURST: Final = 5000
ROUTE_ERROR_COST: Final = 1000


class ErrorLimits:
    """The buckets of one namespace: peer → (ns of credit, when last asked)."""

    __slots__ = ("_buckets", "_namespace")

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self._buckets: dict[int, tuple[int, int]] = {}

    def allows_route_error(self, peer: int) -> bool:
        """Whether a packet without a route may be answered at all."""
        return self._take(peer, ROUTE_ERROR_COST * MILLISECOND, ROUTE_ERROR_BURST * MILLISECOND)

    def allows(self, peer: int, kind: int) -> bool:
        """Whether an ICMP error of a type may be sent to a peer (net.ipv4.icmp_ratelimit, icmp_ratemask)."""
        sysctls = self._namespace.sysctls
        interval = int(sysctls["net.ipv4.icmp_ratelimit"]) * MILLISECOND
        if not int(sysctls["net.ipv4.icmp_ratemask"]) >> kind & 1:
            return True
        return self._take(peer, interval, BURST * interval)

    def allows6(self, peer: int, prefix_length: int) -> bool:
        """The same for every ICMPv6 error but packet too big; peers behind shorter prefixes may get more."""
        interval = int(self._namespace.sysctls["net.ipv6.icmp.ratelimit"]) * MILLISECOND
        interval >>= (128 - prefix_length) >> 5
        return self._take(peer, interval, BURST * interval)

    def _take(self, peer: int, cost: int, most: int) -> bool:
        now = self._namespace.kernel.now
        credit, last = self._buckets.pop(peer, (0, now - LONG_AGO))
        if now > last:
            credit = min(credit + now - last, most)
        allowed = credit >= cost
        if len(self._buckets) >= PEER_LIMIT:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[peer] = (credit - cost if allowed else credit, now)
        return allowed
