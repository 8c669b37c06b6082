"""Counters of a service or real server, and their rates (net/netfilter/ipvs/ip_vs_est.c)."""

from typing import Final

PERIOD: Final = 2_000_000_000
"""Rates are estimated anew every two seconds (ns)."""
_SETTLED: Final = 64
"""After so many idle periods every rate is zero."""


class Statistics:
    """Connections, packets and bytes; `rates` gives them per second, smoothed as the kernel does it."""

    __slots__ = ("_last", "_next", "_rates", "connections", "in_bytes", "in_packets", "out_bytes", "out_packets")

    def __init__(self, now: int) -> None:
        self.connections = self.in_packets = self.out_packets = self.in_bytes = self.out_bytes = 0
        self._last = (0, 0, 0, 0, 0)
        self._rates = [0, 0, 0, 0, 0]
        self._next = now + PERIOD

    @property
    def totals(self) -> tuple[int, int, int, int, int]:
        """(connections, packets in, packets out, bytes in, bytes out)."""
        return self.connections, self.in_packets, self.out_packets, self.in_bytes, self.out_bytes

    def zero(self, now: int) -> None:
        """Begin anew (ipvsadm -Z)."""
        self.__init__(now)  # type: ignore[misc]  # every slot is set again

    def begun(self, now: int) -> None:
        """A connection was assigned."""
        self._advance(now)
        self.connections += 1

    def received(self, now: int, octets: int) -> None:
        """A packet from a client."""
        self._advance(now)
        self.in_packets += 1
        self.in_bytes += octets

    def answered(self, now: int, octets: int) -> None:
        """A packet from the server."""
        self._advance(now)
        self.out_packets += 1
        self.out_bytes += octets

    def rates(self, now: int) -> tuple[int, int, int, int, int]:
        """The totals per second."""
        self._advance(now)
        counts = [(rate + 0x1FF) >> 10 for rate in self._rates[:3]]
        octets = [(rate + 0xF) >> 5 for rate in self._rates[3:]]
        return counts[0], counts[1], counts[2], octets[0], octets[1]

    def _advance(self, now: int) -> None:
        """Catch up with the periods that ended; nothing changed within all but the first of them."""
        if now < self._next:
            return
        for _ in range(min((now - self._next) // PERIOD + 1, _SETTLED)):
            totals = self.totals
            for index, (new, old) in enumerate(zip(totals, self._last, strict=True)):
                rate = (new - old) << (9 if index < 3 else 4)
                self._rates[index] += (rate - self._rates[index]) >> 2
            self._last = totals
        self._next += ((now - self._next) // PERIOD + 1) * PERIOD
