"""IPv6 input, forwarding and output (RFC 8200; Linux net/ipv6/ip6_{input,output}.c).

As with IPv4 the hooks are PREROUTING, then INPUT, or FORWARD and POSTROUTING. Routers never cut packets, they answer
with packet too big (RFC 8200 section 5); what connection tracking had put together leaves in pieces as they came.
"""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet import icmpv6 as messages
from podwire.proto.packet.addresses import (
    IPV6,
    format_address,
    ipv6_number,
    is_link_local,
    is_multicast,
)
from podwire.proto.packet.icmpv6 import solicited_node
from podwire.services.node.kernel import fragments, icmpv6
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.fib import NO_WAY, Route
from podwire.services.node.kernel.netfilter import hooks
from podwire.services.node.kernel.packet import FRAGMENT_BITS, Packet
from podwire.services.node.kernel.tracing import trace_route

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.namespace import Namespace

LOOPBACK: Final = IPV6 | 1
ALL_NODES: Final = ipv6_number(bytes.fromhex("ff020000000000000000000000000001"))
ALL_ROUTERS: Final = ipv6_number(bytes.fromhex("ff020000000000000000000000000002"))


def receive(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """An IPv6 packet came in at a device."""
    if namespace.device_sysctl(device.name, "disable_ipv6", "ipv6"):
        return device.discard(packet, DropReason.IPV6DISABLED, f"IPv6 is disabled on {device.name}")
    reason = None if packet.parsed else packet.parse()
    if reason is not None:
        return device.discard(packet, reason, "bad IPv6 header")
    if _is_martian(device, packet):
        return device.discard(packet, DropReason.IP_INVALID_SOURCE, f"martian source {format_address(packet.source)}")
    whole = defragment(namespace, packet)
    if whole is None or (not whole.bridged and not hooks.run(namespace, "PREROUTING", whole)):
        return None
    return route_input(namespace, device, whole)


def _is_martian(device: "Device", packet: Packet) -> bool:
    on_loopback = LOOPBACK in (packet.source, packet.destination) and device.kind != "loopback"
    return is_multicast(packet.source) or on_loopback


def defragment(namespace: "Namespace", packet: Packet) -> Packet | None:
    """What connection tracking sees: whole packets. None while fragments are missing."""
    if not packet.fragment & FRAGMENT_BITS or not namespace.netfilter6.tracks:
        return packet
    return fragments.reassemble(namespace, packet)


def route_input(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """The routing decision for a packet from outside."""
    packet.in_device = device
    if is_multicast(packet.destination):
        if not is_member(namespace, device, packet.destination):
            return device.ignore(packet, f"not a member of {format_address(packet.destination)}")
        return deliver(namespace, packet)
    route = namespace.fib6.route(packet)
    if packet.trace:
        trace_route(namespace, packet, route)
    if route is not None and route.kind == "local":
        return deliver(namespace, packet)
    if not namespace.forwards6:
        return namespace.kernel.drop(packet, namespace, DropReason.IP_INADDRERRORS, "not for this host, no forwarding")
    if route is None or route.device is None:
        return _no_way(namespace, packet, route)
    return _forward(namespace, packet, route, route.device)


def is_member(namespace: "Namespace", device: "Device", group: int) -> bool:
    """Whether a device listens to a group: all nodes, all routers, or the solicited node of an address of its own."""
    if group == ALL_NODES:
        return True
    if group == ALL_ROUTERS:
        return namespace.forwards6
    own = (each.address for each in device.addresses6)
    return any(solicited_node(each) == group for each in (*own, *namespace.neighbours.proxied(device)))


def _no_way(namespace: "Namespace", packet: Packet, route: Route | None) -> None:
    kind = "" if route is None else route.kind
    namespace.kernel.drop(packet, namespace, DropReason.IP_INNOROUTES, f"{kind} route" if kind else "no route")
    if kind != "blackhole":
        code = messages.ADMINISTRATIVELY_PROHIBITED if kind == "prohibit" else messages.NO_ROUTE
        icmpv6.send_error(namespace, packet, messages.DESTINATION_UNREACHABLE, code)


def _forward(namespace: "Namespace", packet: Packet, route: Route, device: "Device") -> None:
    kernel = namespace.kernel
    if packet.ttl <= 1:
        kernel.drop(packet, namespace, DropReason.IP_INHDR, "hop limit exceeded in transit")
        return icmpv6.send_error(namespace, packet, messages.TIME_EXCEEDED, 0)
    if is_link_local(packet.source) or packet.source in (IPV6, LOOPBACK):
        kernel.drop(packet, namespace, DropReason.IP_INADDRERRORS, "link-local sources are not forwarded")
        if is_link_local(packet.source):
            icmpv6.send_error(namespace, packet, messages.DESTINATION_UNREACHABLE, messages.BEYOND_SCOPE)
        return None
    if packet.length > device.mtu and not packet.reassembled:
        return too_big(namespace, packet, device)
    packet.decrease_ttl()
    packet.out_device = device
    if packet.recording is not None:
        packet.recording.limit_length(device.mtu)
    if not hooks.run(namespace, "FORWARD", packet):
        return None
    next_hop = packet.destination if route.gateway is None else route.gateway
    return finish_output(namespace, packet, device, next_hop)


def too_big(namespace: "Namespace", packet: Packet, device: "Device") -> None:
    """Drop a packet and tell its sender the MTU."""
    detail = f"{packet.length} > mtu {device.mtu} of {device.name}"
    namespace.kernel.drop(packet, namespace, DropReason.PKT_TOO_BIG, detail)
    return icmpv6.send_error(namespace, packet, messages.PACKET_TOO_BIG, 0, rest=device.mtu)


def finish_output(namespace: "Namespace", packet: Packet, device: "Device", next_hop: int) -> None:
    """POSTROUTING, the sender's own fragmentation, and on to the neighbour."""
    is_forwarded = packet.in_device is not None
    packet.in_device = None
    packet.out_device = device
    if not hooks.run(namespace, "POSTROUTING", packet):
        return None
    limit = min(device.mtu, packet.largest_fragment or device.mtu)
    if packet.length <= limit:
        return namespace.neighbours.output(device, next_hop, packet)
    if is_forwarded and not packet.reassembled:
        return too_big(namespace, packet, device)
    for piece in fragments.split6(packet, limit, namespace.next_identification()):
        namespace.neighbours.output(device, next_hop, piece)
    return None


def deliver(namespace: "Namespace", packet: Packet) -> None:
    """A packet for this host: reassembled, through INPUT, to its protocol."""
    if packet.fragment & FRAGMENT_BITS:
        whole = fragments.reassemble(namespace, packet)
        if whole is None:
            return None
        packet = whole
    packet.out_device = None
    if not hooks.run(namespace, "INPUT", packet):
        return None
    return namespace.kernel.deliver(namespace, packet)


def output(namespace: "Namespace", packet: Packet) -> None:
    """Send a packet that this namespace made; its header is complete (ip6_local_out)."""
    route = route_output(namespace, packet)
    if packet.trace:
        trace_route(namespace, packet, route)
    if route is None or route.device is None:
        return namespace.kernel.drop(packet, namespace, DropReason.IP_OUTNOROUTES, "no route")
    packet.out_device = route.device
    before = packet.destination, packet.source, packet.mark
    if not hooks.run(namespace, "OUTPUT", packet):
        return None
    if (packet.destination, packet.source, packet.mark) != before:
        route = route_output(namespace, packet)
        if packet.trace:
            trace_route(namespace, packet, route)
        if route is None or route.device is None:
            return namespace.kernel.drop(packet, namespace, DropReason.IP_OUTNOROUTES, "no route after OUTPUT")
    assert route.device is not None
    next_hop = packet.destination if route.gateway is None else route.gateway
    return finish_output(namespace, packet, route.device, next_hop)


def send_on(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """Send a packet out of a device without asking for a route, as neighbour discovery does."""
    packet.out_device = device
    if hooks.run(namespace, "OUTPUT", packet):
        finish_output(namespace, packet, device, packet.destination)


def route_output(namespace: "Namespace", packet: Packet) -> Route | None:
    """The route for something to send; local destinations go through lo. None if there is no way."""
    return passable(namespace, namespace.fib6.route(packet))


def passable(namespace: "Namespace", route: Route | None) -> Route | None:
    """A route as sending uses it: through lo if it is local, None if it leads nowhere."""
    if route is None or route.kind in NO_WAY:
        return None
    return namespace.loopback_route(route) if route.kind == "local" else route


def source_on(device: "Device", target: int) -> int | None:
    """The device's address to reach `target` from: of its scope, then with the longest common prefix (RFC 6724)."""
    wants_link_local = is_link_local(target) or target >> 112 & 0xFF0F == 0xFF02
    fitting = [each.address for each in device.addresses6 if is_link_local(each.address) == wants_link_local]
    candidates = fitting or [each.address for each in device.addresses6]
    return max(candidates, key=lambda address: _common_length(address, target), default=None)


def _common_length(one: int, other: int) -> int:
    return 128 - ((one ^ other) & ~IPV6).bit_length()


def source_for(namespace: "Namespace", destination: int) -> int | None:
    """The address to send from; None if there is no route or no address."""
    return source_of(namespace, namespace.fib6.lookup(destination), destination)


def source_of(namespace: "Namespace", route: Route | None, destination: int) -> int | None:
    """The address that a route is used with; None if it leads nowhere or there is no address."""
    if route is None or route.device is None:
        return None
    if route.kind == "local":
        return destination
    if route.source is not None:
        return route.source
    found = source_on(route.device, destination)
    if found is not None and (not is_link_local(found) or is_link_local(destination)):
        return found
    return _global_source(namespace) or found


def _global_source(namespace: "Namespace") -> int | None:
    for device in namespace.devices.values():
        for each in device.addresses6:
            if each.scope == "global":
                return each.address
    return None


def link_local_of(mac: bytes) -> int:
    """The link-local address made of a MAC (RFC 4291 appendix A, modified EUI-64)."""
    identifier = bytes((mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]))
    return _LINK_LOCAL | int.from_bytes(identifier)


_LINK_LOCAL: Final = IPV6 | 0xFE80 << 112
LINK_LOCAL_PREFIX: Final = (_LINK_LOCAL, 64)
