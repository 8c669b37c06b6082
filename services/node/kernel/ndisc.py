"""Neighbour discovery: what ARP is to IPv4 (RFC 4861; Linux net/ipv6/ndisc.c).

Addresses are usable at once: duplicate address detection is not done, nor are routers discovered.
"""

from typing import TYPE_CHECKING

from podwire.proto.packet.addresses import IPV6, is_link_local
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.icmpv6 import (
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    OVERRIDE_FLAG,
    ROUTER_FLAG,
    SOLICITED_FLAG,
    NeighbourMessage,
    solicited_node,
)
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel import icmp, ipv6
from podwire.services.node.kernel.drops import DropReason

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.namespace import Namespace
    from podwire.services.node.kernel.packet import Packet


def solicit(
    namespace: "Namespace", device: "Device", target: int, known_mac: bytes | None, waiting: "Packet | None"
) -> None:
    """Ask who has an address: its group, or only the neighbour that had it.

    From the source of the packet that waits if it is the device's own, else from the link-local address
    (ndisc_solicit).
    """
    own = [each.address for each in device.addresses6]
    link_local = next((address for address in own if is_link_local(address)), None)
    source = waiting.source if waiting is not None and waiting.source in own else link_local
    if source is None:
        return
    destination = target if known_mac is not None else solicited_node(target)
    _send(namespace, device, source, destination, NeighbourMessage(NEIGHBOUR_SOLICITATION, target, device.mac))


def _send(
    namespace: "Namespace", device: "Device", source: int, destination: int, message: NeighbourMessage, trace: str = ""
) -> None:
    octets = message.build(source, destination)
    packet = icmp.made(build_packet(source, destination, ICMPV6, octets, ttl=255), trace)
    ipv6.send_on(namespace, device, packet)


def receive(namespace: "Namespace", packet: "Packet", header: Icmp, payload: bytes) -> None:
    """A solicitation or an advertisement; RFC 4861 section 7.1 says which are valid."""
    device = packet.in_device
    if device is None or packet.ttl != 255 or header.code:
        return namespace.kernel.drop(packet, namespace, DropReason.IPV6_NDISC_HOP_LIMIT, "hop limit is not 255")
    try:
        message = NeighbourMessage.parse(header, payload)
    except PacketError as error:
        return namespace.kernel.drop(packet, namespace, DropReason.IPV6_NDISC_BAD_OPTIONS, error.reason)
    if message.type == NEIGHBOUR_SOLICITATION:
        return _solicited(namespace, device, packet, message)
    mac = message.mac or packet.link_source
    solicited = bool(message.flags & SOLICITED_FLAG)
    return namespace.neighbours.learn(device, message.target, mac, confirmed=solicited, create=False)


def _answers_for_another(namespace: "Namespace", device: "Device", target: int) -> bool:
    """A router with proxy_ndp answers for what `ip neigh add proxy` names (ndisc_recv_ns)."""
    allowed = namespace.forwards6 and namespace.device_sysctl(device.name, "proxy_ndp", "ipv6")
    return bool(allowed) and namespace.neighbours.is_proxy(device, target)


def _solicited(namespace: "Namespace", device: "Device", packet: "Packet", message: NeighbourMessage) -> None:
    own = any(each.address == message.target for each in device.addresses6)
    if not own and not _answers_for_another(namespace, device, message.target):
        return device.ignore(packet, "solicits an address of another")
    destination, flags = packet.source, SOLICITED_FLAG
    if packet.source == IPV6:
        destination, flags = ipv6.ALL_NODES, 0
    elif message.mac is not None:
        namespace.neighbours.learn(device, packet.source, message.mac, confirmed=False, create=True)
    flags |= OVERRIDE_FLAG if own else 0
    flags |= ROUTER_FLAG if namespace.forwards6 else 0
    answer = NeighbourMessage(NEIGHBOUR_ADVERTISEMENT, message.target, device.mac, flags)
    source = message.target if own else ipv6.source_on(device, destination) or message.target
    return _send(namespace, device, source, destination, answer, packet.trace)
