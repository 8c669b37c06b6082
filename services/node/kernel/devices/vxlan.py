"""VXLAN devices (RFC 7348; Linux drivers/net/vxlan): Ethernet frames in UDP, towards the FDB's remote.

One unicast remote an entry, of either family; no multicast groups. Over IPv4 the outer datagrams carry no UDP
checksum, as the RFC asks, unless the device was made so.
"""

import struct
from typing import Final

from podwire.proto.packet.addresses import BROADCAST_MAC, ZERO_MAC, format_address, is_ipv6
from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.proto.packet.ipv6 import IPv6
from podwire.proto.packet.udp import build_datagram
from podwire.proto.packet.vxlan import LINUX_PORT, OVERHEAD, Vxlan
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.conntrack.table import is_sound
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.packet import Packet

FDB_LIMIT: Final = 4096
PORT_LOW: Final = 32768
PORT_COUNT: Final = 28232
_IP: Final = struct.Struct("!BBHHHBBHII")
_UDP: Final = struct.Struct("!HHHH")


class VxlanEntry:
    """A MAC's remote tunnel endpoint."""

    __slots__ = ("learned", "permanent", "remote", "updated")

    def __init__(self, remote: int, permanent: bool, learned: bool, updated: int) -> None:
        self.remote = remote
        self.permanent = permanent
        self.learned = learned
        self.updated = updated


class VxlanDevice(Device):
    """A tunnel device; `underlay` is the namespace it was made in, where its datagrams travel."""

    kind = "vxlan"

    def __init__(self, namespace: Namespace, name: str, mac: bytes, mtu: int = 1450) -> None:
        super().__init__(namespace, name, mac, mtu)
        self.underlay = namespace
        self.vni = 0
        self.port_number = LINUX_PORT
        self.local: int | None = None
        self.link: Device | None = None
        self.learning = True
        self.ttl = 64
        self.udp_checksum = False
        """Over IPv4; Flannel makes its devices without, the ip command with."""
        self.fdb: dict[bytes, VxlanEntry] = {}

    def transmit(self, packet: Packet) -> None:
        """Wrap the frame and send it through the underlay's IP output."""
        entry = self.fdb.get(packet.link_destination) or self.fdb.get(ZERO_MAC)
        if entry is None:
            detail = f"no FDB entry for {packet.link_destination.hex(':')}"
            return self.refuse(packet, DropReason.VXLAN_NO_REMOTE, detail)
        source = self.local or internet.source_for(self.underlay, entry.remote)
        if source is None:
            return self.refuse(packet, DropReason.IP_OUTNOROUTES, f"no route to {format_address(entry.remote)}")
        if packet.trace:
            self._trace("encapsulate", packet, source, entry.remote)
        outer = self._wrap(packet, source, entry.remote)
        return self.namespace.kernel.enqueue_output(self.underlay, outer)

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

    def _wrap(self, packet: Packet, source: int, remote: int) -> Packet:
        frame = packet.frame()
        port = PORT_LOW + flow_hash(packet) % PORT_COUNT
        payload = Vxlan(self.vni).build() + frame
        if is_ipv6(remote):
            data = self._wrap6(source, port, remote, payload)
        else:
            data = self._wrap4(source, port, remote, payload)
        outer = Packet(data, TYPE_IPV6 if is_ipv6(remote) else TYPE_IPV4, packet.trace)
        outer.parse()
        outer.transits = packet.transits
        is_cacheable = outer.ethertype == packet.ethertype and not (self.udp_checksum and outer.ethertype == TYPE_IPV4)
        outer.recording = packet.recording if is_cacheable else None
        if outer.recording is not None:
            outer.recording.encapsulate(self.underlay, overhead(remote))
        return outer

    def _wrap4(self, source: int, port: int, remote: int, payload: bytes) -> bytes:
        length = 28 + len(payload)
        identification = self.underlay.next_identification()
        header = bytearray(_IP.pack(0x45, 0, length, identification, 0, self.ttl, UDP, 0, source, remote))
        header[10:12] = internet_checksum(header).to_bytes(2)
        if self.udp_checksum:
            return bytes(header) + build_datagram(source, port, remote, self.port_number, payload)
        return bytes(header) + _UDP.pack(port, self.port_number, length - 20, 0) + payload

    def _wrap6(self, source: int, port: int, remote: int, payload: bytes) -> bytes:
        """Over IPv6 the UDP checksum is computed (udp6zerocsumtx is off by default)."""
        datagram = build_datagram(source, port, remote, self.port_number, payload)
        return IPv6(source, remote, UDP, len(datagram), self.ttl).build() + datagram

    def decapsulate(self, packet: Packet, inner_at: int) -> None:
        """Receive the inner frame of an outer packet that has passed the underlay's checks."""
        data = packet.data
        inner = Packet(data[inner_at + 14 :], int.from_bytes(data[inner_at + 12 : inner_at + 14]), packet.trace)
        inner.link_destination = bytes(data[inner_at : inner_at + 6])
        inner.link_source = bytes(data[inner_at + 6 : inner_at + 12])
        inner.transits = packet.transits
        inner.recording = packet.recording
        if inner.recording is not None:
            inner.recording.decapsulated = True
        if self.learning:
            self._learn(inner, packet.source)
        if inner.trace:
            self._trace("decapsulate", inner, packet.source, packet.destination)
        self.namespace.kernel.enqueue(self, inner)

    def _learn(self, inner: Packet, remote: int) -> None:
        entry = self.fdb.get(inner.link_source)
        if entry is not None and entry.permanent:
            return
        if (entry is None and len(self.fdb) < FDB_LIMIT) or (entry is not None and entry.remote != remote):
            self.namespace.kernel.changed()
            self.fdb[inner.link_source] = VxlanEntry(remote, False, True, self.namespace.kernel.now)

    def detach(self) -> None:
        """Give the UDP port back."""
        is_over_ipv6 = self.local is not None and is_ipv6(self.local)
        self.underlay.tunnels.pop((self.port_number, self.vni, is_over_ipv6), None)
        super().detach()


def receive(namespace: Namespace, packet: Packet) -> bool:
    """Take a UDP packet if a tunnel of this namespace listens on its port; whether it was taken.

    Its checksum is looked at before (net/ipv4/udp.c, udp_queue_rcv_one_skb); over IPv4 it may be missing.
    """
    port = packet.destination_port
    if not any(number == port for number, _, _ in namespace.tunnels):
        return False
    if not is_sound(packet, verify=True):
        namespace.kernel.drop(packet, namespace, DropReason.UDP_CSUM, "bad UDP checksum outside")
        return True
    at = packet.header_length + 8
    try:
        header, inner = Vxlan.parse(memoryview(packet.data), at)
    except PacketError as error:
        namespace.kernel.drop(packet, namespace, DropReason.VXLAN_INVALID_HDR, error.reason)
        return True
    device = namespace.tunnels.get((port, header.vni, packet.ethertype == TYPE_IPV6))
    if device is None:
        namespace.kernel.drop(packet, namespace, DropReason.VXLAN_VNI_NOT_FOUND, f"vni {header.vni}")
    elif len(packet.data) < inner + 14:
        namespace.kernel.drop(packet, namespace, DropReason.PKT_TOO_SMALL, "inner frame")
    else:
        device.decapsulate(packet, inner)
    return True


def overhead(remote: int) -> int:
    """Bytes that encapsulation adds to a frame towards a remote, outer Ethernet header included."""
    return OVERHEAD + 20 if remote > 0xFFFFFFFF else OVERHEAD


def flow_hash(packet: Packet) -> int:
    """A hash of the inner flow, so that the outer source port keeps one flow on one path (udp_flow_src_port)."""
    if packet.ethertype == TYPE_ARP or packet.link_destination == BROADCAST_MAC:
        return int.from_bytes(packet.link_source)
    ports = packet.source_port << 16 | packet.destination_port if packet.protocol in (TCP, UDP) else 0
    value = packet.source * 0x9E3779B1 ^ packet.destination * 0x85EBCA77 ^ ports * 0xC2B2AE3D ^ packet.protocol
    value &= 0xFFFFFFFFFFFFFFFF
    return (value ^ value >> 29 ^ value >> 47) & 0xFFFFFFFF
