"""IPv4 input, forwarding and output (RFC 791, RFC 1812; Linux net/ipv4/ip_{input,forward,output}.c).

The order of hooks is Linux's: PREROUTING, the routing decision, then INPUT, or FORWARD and POSTROUTING; for
what this machine sends, routing, OUTPUT and POSTROUTING.
"""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet import icmp as icmp_header
from podwire.proto.packet.addresses import format_address, is_multicast, prefix_mask
from podwire.services.node.kernel import fragments, icmp
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.fib import NO_WAY, Route
from podwire.services.node.kernel.netfilter import hooks
from podwire.services.node.kernel.packet import FRAGMENT_BITS, Packet
from podwire.services.node.kernel.tracing import trace_route

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Address, Device
    from podwire.services.node.kernel.namespace import Namespace

LOOPBACK_NETWORK: Final = 127
ALL_HOSTS: Final = 0xE0000001
"""224.0.0.1, the only group that every host is in (RFC 1112 section 4)."""


def receive(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """An IPv4 packet came in at a device."""
    reason = None if packet.parsed else packet.parse()
    if reason is not None:
        return device.discard(packet, reason, "bad IPv4 header")
    whole = defragment(namespace, packet)
    if whole is None or (not whole.bridged and not hooks.run(namespace, "PREROUTING", whole)):
        return None
    return route_input(namespace, device, whole)


def defragment(namespace: "Namespace", packet: Packet) -> Packet | None:
    """What connection tracking sees: whole packets. None while fragments are missing."""
    if not packet.fragment & FRAGMENT_BITS or not namespace.netfilter.tracks:
        return packet
    return fragments.reassemble(namespace, packet)


def route_input(namespace: "Namespace", device: "Device", packet: Packet) -> None:
    """The routing decision for a packet from outside (ip_route_input_slow)."""
    packet.in_device = device
    if is_multicast(packet.destination) and packet.destination != ALL_HOSTS:
        return device.ignore(packet, f"not a member of {format_address(packet.destination)}")
    reason = _martian(namespace, device, packet)
    if reason is not None:
        return _refuse(device, packet, reason)
    if packet.destination in (0, ALL_HOSTS, 0xFFFFFFFF):
        return deliver(namespace, packet)
    route = namespace.fib.route(packet)
    if packet.trace:
        trace_route(namespace, packet, route)
    if route is not None and route.kind in ("local", "broadcast", "unicast"):
        reason = _invalid_source(namespace, device, packet)
        if reason is not None:
            return _refuse(device, packet, reason)
    if route is not None and route.kind in ("local", "broadcast"):
        return deliver(namespace, packet)
    if not namespace.forwards:
        reason = DropReason.IP_INNOROUTES if route is None else DropReason.IP_INADDRERRORS
        return namespace.kernel.drop(packet, namespace, reason, "not for this host, and ip_forward is 0")
    if route is None or route.kind != "unicast" or route.device is None:
        return _no_way(namespace, packet, route)
    return _forward(namespace, packet, route, route.device)


def _refuse(device: "Device", packet: Packet, reason: DropReason) -> None:
    ends = f"{format_address(packet.source)} to {format_address(packet.destination)}"
    device.discard(packet, reason, f"martian: from {ends}")


def _martian(namespace: "Namespace", device: "Device", packet: Packet) -> DropReason | None:
    """Addresses that no packet from outside has, whatever the routes say."""
    source, destination = packet.source, packet.destination
    if device.kind == "loopback":
        return None
    if is_multicast(source) or source == 0xFFFFFFFF:
        return DropReason.IP_INVALID_SOURCE
    if destination in (ALL_HOSTS, 0xFFFFFFFF) or source == destination == 0:
        return None if source >> 24 == 0 else _invalid_source(namespace, device, packet)
    if source >> 24 == 0:
        return DropReason.IP_INVALID_SOURCE
    if destination >> 24 == 0:
        return DropReason.IP_INVALID_DEST
    on_loopback = LOOPBACK_NETWORK in (source >> 24, destination >> 24)
    if on_loopback and not namespace.device_sysctl(device.name, "route_localnet"):
        return DropReason.IP_LOCALNET
    return None


def _invalid_source(namespace: "Namespace", device: "Device", packet: Packet) -> DropReason | None:
    """A source that is this host's own, or one that rp_filter does not expect here (fib_validate_source)."""
    source = packet.source
    if device.kind == "loopback":
        return None
    route = namespace.fib.lookup(source)
    if route is not None and route.kind == "local":
        return None if namespace.device_sysctl(device.name, "accept_local") else DropReason.IP_LOCAL_SOURCE
    strict = namespace.device_sysctl(device.name, "rp_filter")
    if strict and (route is None or (strict == 1 and not namespace.fib.reaches(source, device))):
        return DropReason.IP_RPFILTER
    return None


def _no_way(namespace: "Namespace", packet: Packet, route: Route | None) -> None:
    kind = "" if route is None else route.kind
    allowed = kind == "blackhole" or namespace.error_limits.allows_route_error(packet.source)
    namespace.kernel.drop(packet, namespace, DropReason.IP_INNOROUTES, f"{kind} route" if kind else "no route")
    if not allowed:
        return
    if kind == "prohibit":
        icmp.send_error(namespace, packet, icmp_header.ADMINISTRATIVELY_PROHIBITED)
    elif kind == "unreachable":
        icmp.send_error(namespace, packet, icmp_header.HOST_UNREACHABLE)
    elif kind != "blackhole":
        icmp.send_error(namespace, packet, icmp_header.NET_UNREACHABLE)


def _forward(namespace: "Namespace", packet: Packet, route: Route, device: "Device") -> None:
    kernel = namespace.kernel
    if packet.ttl <= 1:
        kernel.drop(packet, namespace, DropReason.IP_INHDR, "TTL exceeded in transit")
        return icmp.send_error(namespace, packet, 0, kind=icmp_header.TIME_EXCEEDED)
    if packet.length > device.mtu and packet.data[6] & 0x40 and may_not_cut(packet, device.mtu):
        kernel.drop(packet, namespace, DropReason.PKT_TOO_BIG, f"{packet.length} > mtu {device.mtu} of {device.name}")
        return icmp.send_error(namespace, packet, icmp_header.FRAGMENTATION_NEEDED, rest=device.mtu)
    packet.decrease_ttl()
    packet.out_device = device
    if packet.recording is not None and packet.data[6] & 0x40:
        packet.recording.limit_length(device.mtu)
    if not hooks.run(namespace, "FORWARD", packet):
        return None
    next_hop = packet.destination if route.gateway is None else route.gateway
    return finish_output(namespace, packet, device, next_hop)


def may_not_cut(packet: Packet, mtu: int) -> bool:
    """Whether don't fragment holds: not for what was put together here, unless a piece would not have fitted either."""
    return not packet.reassembled or packet.largest_fragment > mtu


def finish_output(namespace: "Namespace", packet: Packet, device: "Device", next_hop: int) -> None:
    """POSTROUTING, fragmentation, and on to the neighbour."""
    packet.in_device = None
    packet.out_device = device
    if not hooks.run(namespace, "POSTROUTING", packet):
        return None
    limit = min(device.mtu, packet.largest_fragment or device.mtu)
    if packet.length <= limit:
        return namespace.neighbours.output(device, next_hop, packet)
    if packet.data[6] & 0x40 and may_not_cut(packet, limit):
        namespace.kernel.drop(packet, namespace, DropReason.PKT_TOO_BIG, f"mtu {device.mtu} of {device.name}")
        return icmp.send_error(namespace, packet, icmp_header.FRAGMENTATION_NEEDED, rest=device.mtu)
    for piece in fragments.split(packet, limit):
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
    """Send a packet that this namespace made; its IP header is complete (ip_local_out)."""
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
        return _rerouted(namespace, packet)
    return _leave(namespace, packet, route)


def _rerouted(namespace: "Namespace", packet: Packet) -> None:
    """Route again after OUTPUT changed an address or the mark (ip_route_me_harder)."""
    route = route_output(namespace, packet)
    if packet.trace:
        trace_route(namespace, packet, route)
    if route is None or route.device is None:
        return namespace.kernel.drop(packet, namespace, DropReason.IP_OUTNOROUTES, "no route after OUTPUT")
    return _leave(namespace, packet, route)


def _leave(namespace: "Namespace", packet: Packet, route: Route) -> None:
    assert route.device is not None
    next_hop = packet.destination if route.gateway is None else route.gateway
    finish_output(namespace, packet, route.device, next_hop)


def route_output(namespace: "Namespace", packet: Packet) -> Route | None:
    """The route for something to send; local destinations go through lo. None if there is no way."""
    route = namespace.fib.route(packet)
    if route is None or route.kind in NO_WAY:
        return None
    return namespace.loopback_route(route) if route.kind == "local" else route


def source_for(namespace: "Namespace", destination: int) -> int | None:
    """The address to send from; None if there is no route or no address."""
    return source_of(namespace, namespace.fib.lookup(destination), destination)


def source_of(namespace: "Namespace", route: Route | None, destination: int) -> int | None:
    """The address that a route is used with; None if it leads nowhere or there is no address."""
    if route is None or route.device is None:
        return None
    if route.kind == "local":
        return destination
    if route.source is not None:
        return route.source
    target = destination if route.gateway is None else route.gateway
    return source_on(route.device, target) or _any_source(namespace)


def is_within(target: int, each: "Address") -> bool:
    """Whether an address shares the prefix of one of a device (inet_ifa_match)."""
    return (each.address ^ target) & prefix_mask(each.length) == 0


def source_on(device: "Device", target: int) -> int | None:
    """The device's address that shares the target's prefix, else its first (inet_select_addr)."""
    for each in device.addresses:
        if is_within(target, each):
            return each.address
    return device.addresses[0].address if device.addresses else None


def _any_source(namespace: "Namespace") -> int | None:
    for device in namespace.devices.values():
        for each in device.addresses:
            if each.scope == "global":
                return each.address
    return None
