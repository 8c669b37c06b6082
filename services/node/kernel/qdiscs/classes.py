"""prio and sfq: they sort what waits; on links that are never busy nothing does (net/sched/sch_{prio,sfq}.c)."""

from typing import Final

from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.qdiscs.qdisc import Qdisc

PRIOMAP: Final = (1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
"""The band of each priority, as prio has it unless it is told (tc-prio(8))."""


class Prio(Qdisc):
    """Bands: a packet's class chooses one, or its priority by the map (prio_classify)."""

    kind = "prio"

    def enqueue(self, packet: Packet) -> None:
        self.pass_on(packet)

    def child_for(self, packet: Packet) -> Qdisc | None:
        band = (packet.priority & 0xFFFF) - 1 if packet.priority >> 16 == self.major else -1
        if not 0 <= band < self.wanted.bands:
            band = PRIOMAP[packet.priority & 0xF] if packet.priority >> 16 != self.major else PRIOMAP[0]
        return self.children.get(band + 1)


class Sfq(Qdisc):
    """Stochastic fairness among what waits."""

    kind = "sfq"

    def enqueue(self, packet: Packet) -> None:
        self.pass_on(packet)
