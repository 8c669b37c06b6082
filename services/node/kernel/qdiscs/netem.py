"""netem: delay, loss, duplication, reordering, corruption and rate (net/sched/sch_netem.c)."""

from functools import partial

from podwire.proto.messages.kernel import Qdisc as Wanted
from podwire.services.chassis.impairment import ImpairedLink
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.qdiscs.qdisc import Qdisc

_MILLISECOND = 1_000_000


class Netem(Qdisc):
    """An impaired link."""

    kind = "netem"

    def __init__(self, device: Device, wanted: Wanted, major: int) -> None:
        super().__init__(device, wanted, major)
        self._link = ImpairedLink(wanted.impairment, device.namespace.kernel.random)

    def enqueue(self, packet: Packet) -> None:
        kernel = self.device.namespace.kernel
        frame = packet.frame()
        arrivals = self._link.carry(frame, kernel.now)
        if not arrivals:
            self.discard(packet, "loses it")
        for due, octets in arrivals:
            each = _copy(packet, frame, octets)
            if due <= kernel.now:
                self.pass_on(each)
                continue
            if each.trace:
                self._tell(each, due - kernel.now)
            kernel.timer(partial(self.pass_on, each)).set(due)

    def _tell(self, packet: Packet, late: int) -> None:
        namespace, owner = self.device.namespace, self.wanted.owner
        whom = f" ({owner})" if owner else ""
        detail = f"netem {self.wanted.handle} holds it for {late / _MILLISECOND:g} ms{whom}"
        namespace.kernel.hop(packet, "queue", namespace, device=self.device.name, detail=detail, owner=owner)


def _copy(packet: Packet, frame: bytes, octets: bytes) -> Packet:
    if octets is frame:
        return packet.copy()
    changed = Packet(octets[14:], int.from_bytes(octets[12:14]), packet.trace)
    changed.link_destination, changed.link_source = octets[:6], octets[6:12]
    changed.transits = packet.transits
    return changed
