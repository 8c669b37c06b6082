"""Reading state back, as structs."""

from collections.abc import Callable
from typing import Any, Final

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import format_address, format_mac, is_ipv6
from podwire.services.node.kernel.conntrack.entry import Tuple
from podwire.services.node.kernel.devices.bridge import Bridge
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.devices.geneve import GeneveDevice
from podwire.services.node.kernel.devices.ipip import IpipDevice
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.kernel.devices.vxlan import VxlanDevice
from podwire.services.node.kernel.fib import NextHop, Route
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import ipvs, qdiscs
from podwire.services.node.kernel.operations.routes import table_name
from podwire.services.node.kernel.printing.ipset import ipset_save
from podwire.services.node.kernel.printing.iptables import iptables_save
from podwire.services.node.kernel.printing.nftables import nft_ruleset
from podwire.services.node.kernel.printing.rules import rule_text


def read(kernel: Kernel, operation: messages.Read) -> Any:
    """What `operation.kind` asks for, in a namespace."""
    kernel.settle()
    namespace = kernel.namespace(operation.netns)
    return _READERS[operation.kind](namespace, operation)


def _links(namespace: Namespace, wanted: messages.Read) -> list[messages.Link]:
    return [_link(device) for device in namespace.devices.values()]


def _link(device: Device) -> messages.Link:
    peer = device.peer if isinstance(device, Veth) else None
    tunnel = device if isinstance(device, VxlanDevice) else None
    return messages.Link(
        index=device.index,
        name=device.name,
        kind=device.kind,
        mtu=device.mtu,
        up=device.up,
        carrier=device.carrier,
        address=format_mac(device.mac),
        master=device.master.name if device.master is not None else "",
        peer=peer.name if peer is not None else "",
        peer_netns=peer.namespace.name if peer is not None else "",
        hairpin=device.port.hairpin if device.port is not None else False,
        remote=format_address(device.remote) if isinstance(device, GeneveDevice | IpipDevice) and device.remote else "",
        vni=tunnel.vni if tunnel is not None else 0,
        port=tunnel.port_number if tunnel is not None else 0,
        local=format_address(tunnel.local) if tunnel is not None and tunnel.local is not None else "",
        rx_packets=device.received.packets,
        rx_bytes=device.received.bytes,
        rx_dropped=device.receive_drops,
        tx_packets=device.sent.packets,
        tx_bytes=device.sent.bytes,
        tx_dropped=device.send_drops,
    )


def _addresses(namespace: Namespace, wanted: messages.Read) -> list[messages.LinkAddress]:
    return [
        messages.LinkAddress(
            device=device.name, address=f"{format_address(each.address)}/{each.length}", scope=each.scope
        )
        for device in namespace.devices.values()
        for each in (device.addresses6 if wanted.family == "ipv6" else device.addresses)
    ]


def _routes(namespace: Namespace, wanted: messages.Read) -> list[messages.Route]:
    fib = namespace.fib6 if wanted.family == "ipv6" else namespace.fib
    return [_route(route) for route in fib.routes(table_name(wanted.table or "main"))]


def _route(route: Route) -> messages.Route:
    return messages.Route(
        destination=f"{format_address(route.destination)}/{route.length}",
        device=route.device.name if route.device is not None else "",
        via=format_address(route.gateway) if route.gateway is not None else "",
        hops=[_hop(hop) for hop in route.hops],
        source=format_address(route.source) if route.source is not None else "",
        metric=route.metric,
        table=route.table,
        protocol=route.protocol,
        scope=route.scope,
        kind=route.kind,
        onlink=route.onlink,
    )


def _hop(hop: NextHop) -> messages.NextHop:
    one = _route(hop.route)
    return messages.NextHop(via=one.via, device=one.device, weight=hop.weight, onlink=one.onlink)


def _neighbours(namespace: Namespace, wanted: messages.Read) -> list[messages.Neighbour]:
    return [
        messages.Neighbour(
            device=entry.device.name,
            address=format_address(entry.address),
            mac=format_mac(entry.mac),
            state=entry.state,
        )
        for entry in namespace.neighbours.all()
    ]


def _fdb(namespace: Namespace, wanted: messages.Read) -> list[messages.Fdb]:
    found = []
    for device in namespace.devices.values():
        if isinstance(device, VxlanDevice):
            found += [
                messages.Fdb(
                    device=device.name,
                    mac=format_mac(mac),
                    remote=format_address(entry.remote),
                    permanent=entry.permanent,
                )
                for mac, entry in device.fdb.items()
            ]
        elif isinstance(device, Bridge):
            found += [
                messages.Fdb(
                    device=entry.port.device.name if entry.port is not None else device.name,
                    mac=format_mac(mac),
                    permanent=entry.static,
                )
                for mac, entry in device.fdb.items()
            ]
    return found


def _flows(namespace: Namespace, wanted: messages.Read) -> list[messages.Flow]:
    return [
        messages.Flow(
            protocol=connection.tuples[0][0],
            state=connection.state,
            expires=connection.expires,
            original=_tuple(connection.tuples[0]),
            reply=_tuple(connection.tuples[1]),
            assured=connection.assured,
            seen_reply=connection.seen_reply,
        )
        for connection in namespace.netfilter.connections.connections()
        if is_ipv6(connection.tuples[0][1]) == (wanted.family == "ipv6")
    ]


def _tuple(tuple_: Tuple) -> tuple[str, int, str, int]:
    ports = tuple_[2] & 0xFFFF, tuple_[4] & 0xFFFF
    return format_address(tuple_[1]), ports[0], format_address(tuple_[3]), ports[1]


def _iptables(namespace: Namespace, wanted: messages.Read) -> str:
    netfilter = namespace.netfilter6 if wanted.family == "ipv6" else namespace.netfilter
    return iptables_save(netfilter, table=wanted.table, counters=True)


def _rules(namespace: Namespace, wanted: messages.Read) -> list[messages.Rule]:
    fib = namespace.fib6 if wanted.family == "ipv6" else namespace.fib
    return [messages.Rule(priority=rule.priority, text=rule_text(rule)) for rule in fib.rules]


def _drops(namespace: Namespace, wanted: messages.Read) -> list[messages.DropCount]:
    counts = namespace.kernel.drops.counts
    return [
        messages.DropCount(netns=netns, reason=reason.value, packets=packets)
        for (netns, reason), packets in sorted(counts.items())
        if netns == namespace.name
    ]


_READERS: Final[dict[str, Callable[[Namespace, messages.Read], Any]]] = {
    "links": _links,
    "addresses": _addresses,
    "routes": _routes,
    "neighbours": _neighbours,
    "fdb": _fdb,
    "sysctls": lambda namespace, _: dict(namespace.sysctls),
    "netns": lambda namespace, _: [name for name in namespace.kernel.namespaces if name],
    "iptables-save": _iptables,
    "rules": _rules,
    "nft-ruleset": lambda namespace, _: nft_ruleset(namespace),
    "conntrack": _flows,
    "ipset-save": lambda namespace, _: ipset_save(namespace),
    "drops": _drops,
    "qdiscs": lambda namespace, _: qdiscs.read(namespace),
    "ipvs-services": ipvs.read_services,
    "ipvs-connections": ipvs.read_connections,
    "ipvs-timeouts": ipvs.read_timeouts,
}
