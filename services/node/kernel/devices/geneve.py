"""Geneve devices (RFC 8926; Linux drivers/net/geneve.c): Ethernet frames in UDP, to the one remote that a device has.

No options are sent, and packets with critical ones are dropped, as Linux does outside of collect-metadata mode.
"""

from typing import Final

from podwire.proto.packet.addresses import format_address
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.geneve import ETHERNET, HEADER_LENGTH, PORT, Geneve
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import UDP
from podwire.proto.packet.udp import Udp, build_datagram
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.conntrack.table import is_sound
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.devices.vxlan import flow_hash
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.packet import Packet

_HIGHEST_PORT: Final = 65535


class GeneveDevice(Device):
    """A tunnel device; `underlay` is the namespace it was made in, where its datagrams travel."""

    kind = "geneve"

    def __init__(self, namespace: Namespace, name: str, mac: bytes, remote: int) -> None:
        super().__init__(namespace, name, mac)
        self.underlay = namespace
        self.remote = remote
        self.vni = 0
        self.port_number = PORT
        self.ttl = 0
        self.udp_checksum = False

    @property
    def key(self) -> tuple[int, int, int]:
        """What datagrams find the device by."""
        return self.port_number, self.vni, self.remote

    def transmit(self, packet: Packet) -> None:
        """Wrap the frame and send it through the underlay's IP output."""
        source = internet.source_for(self.underlay, self.remote)
        if source is None:
            return self.refuse(packet, DropReason.IP_OUTNOROUTES, f"no route to {format_address(self.remote)}")
        packet.recording = None
        if packet.trace:
            self._trace("encapsulate", packet, source, self.remote)
        outer = Packet(self._wrap(packet, source), self._ethertype, packet.trace)
        outer.parse()
        outer.transits = packet.transits
        return self.namespace.kernel.enqueue_output(self.underlay, outer)

    @property
    def _ethertype(self) -> int:
        return TYPE_IPV6 if self.remote > 0xFFFFFFFF else TYPE_IPV4

    def _wrap(self, packet: Packet, source: int) -> bytes:
        payload = Geneve(self.vni).build() + packet.frame()
        port = 1 + flow_hash(packet) % _HIGHEST_PORT
        if self.udp_checksum or self._ethertype == TYPE_IPV6:
            datagram = build_datagram(source, port, self.remote, self.port_number, payload)
        else:
            datagram = Udp(port, self.port_number, 8 + len(payload)).build() + payload
        ttl = self.ttl or int(self.underlay.sysctls["net.ipv4.ip_default_ttl"])
        identification = self.underlay.next_identification()
        return build_packet(source, self.remote, UDP, datagram, ttl=ttl, identification=identification)

    def _trace(self, kind: str, packet: Packet, source: int, remote: int) -> None:
        self.namespace.kernel.hop(
            packet,
            "encapsulate" if kind == "encapsulate" else "decapsulate",
            self.namespace,
            device=self.name,
            outer_source=format_address(source),
            outer_destination=format_address(remote),
            vni=self.vni,
            bytes_added=overhead(remote) * (1 if kind == "encapsulate" else -1),
        )

    def decapsulate(self, packet: Packet, inner_at: int) -> None:
        """Receive the inner frame of an outer packet that has passed the underlay's checks."""
        data = packet.data
        inner = Packet(data[inner_at + 14 :], int.from_bytes(data[inner_at + 12 : inner_at + 14]), packet.trace)
        inner.link_destination = bytes(data[inner_at : inner_at + 6])
        inner.link_source = bytes(data[inner_at + 6 : inner_at + 12])
        inner.transits = packet.transits
        if inner.trace:
            self._trace("decapsulate", inner, packet.source, packet.destination)
        self.namespace.kernel.enqueue(self, inner)

    def detach(self) -> None:
        """Give the place at the UDP port back."""
        self.underlay.geneve_tunnels.pop(self.key, None)
        super().detach()


def receive(namespace: Namespace, packet: Packet) -> bool:
    """Take a UDP packet if a tunnel of this namespace listens on its port; whether it was taken.

    Its checksum is looked at before (net/ipv4/udp.c, udp_queue_rcv_one_skb); over IPv4 it may be missing.
    """
    port = packet.destination_port
    if not any(number == port for number, _, _ in namespace.geneve_tunnels):
        return False
    if not is_sound(packet, verify=True):
        namespace.kernel.drop(packet, namespace, DropReason.UDP_CSUM, "bad UDP checksum outside")
        return True
    packet.recording = None
    try:
        header, inner = Geneve.parse(memoryview(packet.data), packet.header_length + 8)
    except PacketError as error:
        namespace.kernel.drop(packet, namespace, DropReason.NOT_SPECIFIED, error.reason)
        return True
    device = namespace.geneve_tunnels.get((port, header.vni, packet.source))
    if device is None:
        detail = f"no geneve device for vni {header.vni} from {format_address(packet.source)}"
        namespace.kernel.drop(packet, namespace, DropReason.NOT_SPECIFIED, detail)
    elif header.protocol != ETHERNET or header.is_critical:
        device.discard(packet, DropReason.UNHANDLED_PROTO, "a Geneve option or protocol that is not known")
    elif len(packet.data) < inner + 14:
        device.discard(packet, DropReason.PKT_TOO_SMALL, "inner frame")
    else:
        device.decapsulate(packet, inner)
    return True


def overhead(remote: int) -> int:
    """Bytes that encapsulation adds to a frame: outer Ethernet, IP, UDP and Geneve headers."""
    return 14 + (40 if remote > 0xFFFFFFFF else 20) + 8 + HEADER_LENGTH
