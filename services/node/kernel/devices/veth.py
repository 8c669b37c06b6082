"""veth pairs: a cable between two namespaces."""

from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.packet import Packet


class Veth(Device):
    """One end of a pair; `peer` is set once both ends exist."""

    kind = "veth"
    peer: "Veth | None" = None

    @property
    def carrier(self) -> bool:
        """There is a link when both ends are up."""
        return self.up and self.peer is not None and self.peer.up

    def transmit(self, packet: Packet) -> None:
        """Hand the frame to the other end."""
        if self.peer is None:
            return
        if self.peer.namespace is not self.namespace:
            packet.leave_namespace()
        self.namespace.kernel.enqueue(self.peer, packet)
