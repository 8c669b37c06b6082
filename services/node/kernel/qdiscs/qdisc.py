"""What every queue discipline has; links are as fast as can be, so that only what delays or drops shows.

Source: the kernel's net/sched/sch_api.c, include/net/sch_generic.h.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from podwire.proto.messages.kernel import Qdisc as Wanted
from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

_LINK_HEADER: Final = 14


class Qdisc(ABC):
    """One discipline of a device's tree; `children` are by their class's minor number."""

    kind: ClassVar[str]

    def __init__(self, device: Device, wanted: Wanted, major: int) -> None:
        self.device, self.wanted, self.major = device, wanted, major
        self.children: dict[int, Qdisc] = {}
        self.sent = Counter()
        self.dropped = 0
        self.is_attached = True

    @abstractmethod
    def enqueue(self, packet: Packet) -> None:
        """Take a packet whose frame is whole."""

    def child_for(self, packet: Packet) -> "Qdisc | None":
        """What takes a packet after this one."""
        return next(iter(self.children.values()), None)

    def pass_on(self, packet: Packet) -> None:
        """The packet has been here long enough; what was taken off its device meanwhile loses it."""
        device = self.device
        if not self.is_attached or device.namespace.devices.get(device.name) is not device:
            return
        packet.count(self.sent, len(packet.data) + _LINK_HEADER)
        child = self.child_for(packet)
        if child is not None:
            child.enqueue(packet)
        else:
            device.leave(packet)

    def discard(self, packet: Packet, detail: str) -> None:
        """Drop a packet."""
        self.dropped += 1
        whom = f" ({self.wanted.owner})" if self.wanted.owner else ""
        text = f"{self.kind} {self.wanted.handle} {detail}{whom}"
        self.device.refuse(packet, DropReason.QDISC_DROP, text, self.wanted.owner)

    def detach(self) -> None:
        """Let go of what waits."""
        self.is_attached = False
        for child in self.children.values():
            child.detach()
