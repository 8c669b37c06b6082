"""ARP: answering for local addresses, learning from what is heard (RFC 826; Linux net/ipv4/arp.c)."""

from typing import TYPE_CHECKING

from podwire.proto.packet.addresses import BROADCAST_MAC, ZERO_MAC
from podwire.proto.packet.arp import REPLY, REQUEST, Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP
from podwire.services.node.kernel import ip
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.fib import Route
    from podwire.services.node.kernel.namespace import Namespace


def request(
    namespace: "Namespace", device: "Device", target: int, known_mac: bytes | None, waiting: Packet | None
) -> None:
    """Ask who has an address: everyone, or only the MAC that had it.

    From the source of the packet that waits as far as arp_announce allows, else from an address of the device
    (arp_solicit).
    """
    source = ip.source_on(device, target) or 0
    if waiting is not None and _announces(namespace, device, waiting.source, target):
        source = waiting.source
    message = Arp(REQUEST, device.mac, source, ZERO_MAC, target)
    _send(device, message, known_mac or BROADCAST_MAC)


def _announces(namespace: "Namespace", device: "Device", source: int, target: int) -> bool:
    """Whether a request may come from a packet's source: with arp_announce 0 any of this host's own addresses, with 1
    one of a prefix of the device that the target is in too, with 2 none (arp_solicit)."""
    level = namespace.device_sysctl(device.name, "arp_announce")
    if level == 2 or not is_local(namespace, source):
        return False
    return level != 1 or any(ip.is_within(target, each) and ip.is_within(source, each) for each in device.addresses)


def is_local(namespace: "Namespace", address: int) -> bool:
    """Whether an address is this host's own."""
    route = namespace.fib.lookup(address)
    return route is not None and route.kind == "local"


def _send(device: "Device", message: Arp, destination: bytes, trace: str = "") -> None:
    packet = Packet(message.build(), TYPE_ARP, trace)
    packet.link_source = device.mac
    packet.link_destination = destination
    device.send(packet)


def receive(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """Learn the sender; answer a request for an address of this namespace."""
    try:
        message, _ = Arp.parse(bytes(packet.data))
    except PacketError as error:
        return device.discard(packet, DropReason.HDR_TRUNC, error.reason)
    if message.operation not in (REQUEST, REPLY):
        return device.discard(packet, DropReason.NOT_SPECIFIED, f"ARP operation {message.operation}")
    route = namespace.fib.lookup(message.target_address)
    for_us = route is not None and route.kind == "local" and bool(device.addresses)
    if for_us and message.operation == REQUEST and _ignores(namespace, device, message):
        return None
    for_us = for_us or _answers_for_another(namespace, device, message.target_address, route)
    _learn(namespace, device, packet, message, for_us)
    if message.operation == REQUEST and for_us:
        reply = Arp(REPLY, device.mac, message.target_address, message.sender_mac, message.sender_address)
        _send(device, reply, message.sender_mac, packet.trace)
    return None


def _ignores(namespace: "Namespace", device: "Device", message: Arp) -> bool:
    """Whether a request for an own address gets no answer, by arp_ignore: 1 wants the address on the device that heard,
    2 the sender in its prefix as well, 3 an address of more than host scope anywhere, 8 never answers (arp_ignore)."""
    level, target = namespace.device_sysctl(device.name, "arp_ignore"), message.target_address
    if level in (1, 2):
        own = [each for each in device.addresses if each.address == target]
        return not any(level == 1 or ip.is_within(message.sender_address, each) for each in own)
    if level == 3:
        held = (each for other in namespace.devices.values() for each in other.addresses)
        return not any(each.address == target and each.scope != "host" for each in held)
    return level == 8


def _answers_for_another(namespace: "Namespace", device: "Device", target: int, route: "Route | None") -> bool:
    """Proxy ARP: an address named by hand, or with proxy_arp one that is reached through another device."""
    if namespace.neighbours.is_proxy(device, target):
        return True
    if not namespace.forwards or not namespace.device_sysctl(device.name, "proxy_arp"):
        return False
    return route is not None and route.kind == "unicast" and route.device is not device


def _learn(namespace: "Namespace", device: "Device", packet: Packet, message: Arp, for_us: bool) -> None:
    if message.sender_address == 0:
        return
    answered = message.operation == REPLY and packet.link_destination == device.mac
    create = message.operation == REQUEST and for_us
    namespace.neighbours.learn(device, message.sender_address, message.sender_mac, confirmed=answered, create=create)
