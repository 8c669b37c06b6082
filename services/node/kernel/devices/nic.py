"""The machine's network card: real bytes to and from a segment outside this machine."""

from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.packet import Packet


class Nic(Device):
    """A card on `segment`; frames are put on the kernel's `transmitted` list for the shell to send."""

    kind = "nic"
    default_discipline = "fq_codel"
    segment = ""

    def transmit(self, packet: Packet) -> None:
        """Serialise the frame; a flow that was recorded on the way is cached from here."""
        kernel = self.namespace.kernel
        kernel.transmitted.append((self.name, packet.frame(), packet.trace))
        if packet.recording is not None:
            kernel.flows.finish_transmit(packet.recording, self, packet)
