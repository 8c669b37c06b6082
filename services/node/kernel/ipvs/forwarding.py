"""Packets on their way through IPVS (ip_vs_core.c, ip_vs_xmit.c, ip_vs_nfct.c): requests in LOCAL_IN and LOCAL_OUT,
replies there and in FORWARD. What it handles is never cached."""

from typing import TYPE_CHECKING

from podwire.proto.packet.ipv4 import ICMP, SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.conntrack.nat import translate_error
from podwire.services.node.kernel.conntrack.table import UNTRACKED, quoted_packet
from podwire.services.node.kernel.drops import DropReason
from podwire.services.node.kernel.ipvs import states
from podwire.services.node.kernel.ipvs.connections import IpvsConnection
from podwire.services.node.kernel.ipvs.service import Destination, VirtualService
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

_PROTOCOLS = (TCP, UDP, SCTP)
_ICMP = (ICMP, ICMPV6)


def step(namespace: "Namespace", hook: str, packet: Packet) -> bool:
    """Take a packet through IPVS at a hook; false if it died or goes on from here by another way."""
    if packet.ipvs or packet.fragment & 0x1FFF:
        return True
    if packet.protocol in _ICMP:
        return _icmp_error(namespace, hook, packet)
    if packet.protocol not in _PROTOCOLS:
        return True
    key = (
        packet.protocol,
        packet.destination,
        packet.destination_port,
        packet.source,
        packet.source_port,
    )
    connection = namespace.ipvs.connections.reply(key)
    if connection is not None:
        return _answer(namespace, packet, connection)
    return True if hook == "FORWARD" else _request(namespace, hook, packet)


# -- replies


def _answer(namespace: "Namespace", packet: Packet, connection: IpvsConnection) -> bool:
    ipvs, now, length = namespace.ipvs, namespace.kernel.now, packet.length
    before = packet.endpoints()[0]
    packet.recording = None
    packet.set_source(*connection.virtual)
    for each in (*connection.statistics(), *((ipvs.total,) if connection.destination.available else ())):
        each.answered(now, length)
    _move(namespace, packet, connection, states.OUTPUT)
    _mark(packet, connection)
    ipvs.connections.touch(connection)
    _tell(namespace, packet, "SNAT", before, packet.endpoints()[0])
    return True


def _move(namespace: "Namespace", packet: Packet, connection: IpvsConnection, direction: int) -> None:
    connection.moved(states.next_state(packet, connection.state, direction))
    connection.timeout = namespace.ipvs.timeout(packet.protocol, connection.state)
    if packet.protocol == UDP and direction == states.OUTPUT and connection.control is not None:
        connection.control.assured = True


def _mark(packet: Packet, connection: IpvsConnection) -> None:
    """Have later hooks let it pass; without net.ipv4.vs.conntrack it is not tracked any further (ip_vs_notrack)."""
    packet.ipvs = True
    if not connection.tracked:
        packet.connection, packet.connection_state = None, UNTRACKED


def _tell(namespace: "Namespace", packet: Packet, verdict: str, before: str, after: str) -> None:
    if packet.trace:
        namespace.kernel.hop(packet, "nat", namespace, table="ipvs", verdict=verdict, before=before, after=after)


# -- requests


def _request(namespace: "Namespace", hook: str, packet: Packet) -> bool:
    ipvs = namespace.ipvs
    key = (packet.protocol, packet.source, packet.source_port, packet.destination, packet.destination_port)
    connection = ipvs.connections.requests.get(key)
    if connection is not None:
        connection, dropped = _reused(namespace, packet, connection)
        if dropped:
            return False
    if connection is None:
        if not states.begins(
            packet, sloppy_tcp=bool(ipvs.sysctl("sloppy_tcp")), sloppy_sctp=bool(ipvs.sysctl("sloppy_sctp"))
        ):
            return True
        service = ipvs.find(packet.mark, packet.protocol, packet.destination, packet.destination_port)
        if service is None:
            return True
        connection = _schedule(namespace, packet, service)
        if connection is None:
            return False
    return _pass(namespace, hook, packet, connection)


def _reused(namespace: "Namespace", packet: Packet, connection: IpvsConnection) -> tuple[IpvsConnection | None, bool]:
    """A client that uses its port again gets a new server if net.ipv4.vs says so; (connection, whether it is dropped).

    While connection tracking still has the old connection, the packet dies and the client tries again.
    """
    ipvs = namespace.ipvs
    if not states.is_new(packet):
        return connection, False
    drained = bool(ipvs.sysctl("expire_nodest_conn")) and not connection.destination.weight
    over = ipvs.sysctl("conn_reuse_mode") & 1 and connection.state in ("TIME_WAIT", "CLOSE", "CLOSED")
    if not drained and not over:
        return connection, False
    tracked = connection.tracked and packet.connection is not None and packet.connection.confirmed
    if connection.controls == 0:
        connection.tracked = connection.tracked and tracked
        ipvs.connections.remove(connection)
    if tracked:
        namespace.kernel.drop(packet, namespace, DropReason.NETFILTER_DROP, "IPVS: the port is used again too soon")
    return None, tracked


def _schedule(namespace: "Namespace", packet: Packet, service: VirtualService) -> IpvsConnection | None:
    """A server for a new connection; without one the client is told "port unreachable" (ip_vs_leave)."""
    ipvs = namespace.ipvs
    template = _template(namespace, packet, service) if service.persistent else None
    server = template.destination if template is not None else None
    if server is None and not service.persistent:
        server = service.scheduler.choose(packet.source, packet.source_port, packet.destination)
    if server is None:
        detail = f"IPVS: no destination available for {packet.endpoints()[1]}"
        namespace.kernel.drop(packet, namespace, DropReason.NETFILTER_DROP, detail)
        namespace.kernel.send_unreachable(namespace, packet, "port")
        return None
    connection = IpvsConnection(
        ipvs.connections,
        packet.protocol,
        (packet.source, packet.source_port),
        (packet.destination, packet.destination_port),
        (server.address, _server_port(packet, service, server)),
        server,
    )
    connection.one_packet = service.one_packet and packet.protocol == UDP
    connection.tracked = bool(ipvs.sysctl("conntrack"))
    if not ipvs.connections.add(connection, template):
        namespace.kernel.drop(packet, namespace, DropReason.NOMEM, "IPVS: connection table full")
        return None
    _forget_direct(namespace, connection)
    if template is not None:
        ipvs.connections.touch(template)
    for each in (*connection.statistics(), ipvs.total):
        each.begun(namespace.kernel.now)
    return connection


def _server_port(packet: Packet, service: VirtualService, server: Destination) -> int:
    if service.persistent and packet.destination_port != service.key.port:
        return packet.destination_port
    return server.port or packet.destination_port


def _forget_direct(namespace: "Namespace", connection: IpvsConnection) -> None:
    """A cached flow between client and server that went past IPVS must look again."""
    found = namespace.netfilter.connections.by_tuple.get(connection.reply_key)
    if found is not None:
        found[0].invalidate_flows()


def _template(namespace: "Namespace", packet: Packet, service: VirtualService) -> IpvsConnection | None:
    """What holds a client to its server: by mark, or by the service's endpoint (ip_vs_sched_persist)."""
    ipvs, key = namespace.ipvs, service.key
    client = (packet.source & service.netmask, 0)
    virtual = (packet.destination, packet.destination_port if packet.destination_port == key.port else 0)
    protocol = packet.protocol
    if key.fwmark and packet.destination_port != key.port:
        protocol, virtual = 0, (key.fwmark, 0)
    template = ipvs.connections.templates.get((protocol, *client, *virtual))
    if template is not None and _still_good(namespace, template):
        return template
    if template is not None:
        ipvs.connections.templates.pop(template.request_key)
    server = service.scheduler.choose(packet.source, packet.source_port, packet.destination)
    if server is None:
        return None
    port = server.port if packet.destination_port == key.port else 0
    template = IpvsConnection(
        ipvs.connections, protocol, client, virtual, (server.address, port), server, template=True
    )
    template.timeout = service.persistent * 1_000_000_000
    return template if ipvs.connections.add(template) else None


def _still_good(namespace: "Namespace", template: IpvsConnection) -> bool:
    server = template.destination
    quiescent = namespace.ipvs.sysctl("expire_quiescent_template") and not server.weight
    template.timeout = (server.service.persistent or 1) * 1_000_000_000
    return server.available and not quiescent


def _pass(namespace: "Namespace", hook: str, packet: Packet, connection: IpvsConnection) -> bool:
    """Send a client's packet on to its server (ip_vs_in, ip_vs_nat_xmit)."""
    ipvs, now, length = namespace.ipvs, namespace.kernel.now, packet.length
    packet.recording = None
    if not connection.destination.available:
        if ipvs.sysctl("expire_nodest_conn"):
            ipvs.connections.remove(connection)
        namespace.kernel.drop(packet, namespace, DropReason.NETFILTER_DROP, "IPVS: the connection's server is deleted")
        return False
    for each in (*connection.statistics(), ipvs.total):
        each.received(now, length)
    _move(namespace, packet, connection, states.INPUT)
    connection.packets += 1
    ipvs.connections.touch(connection)
    return _transmit(namespace, packet, connection)


def _transmit(namespace: "Namespace", packet: Packet, connection: IpvsConnection) -> bool:
    """The server's address in place of the virtual one, and on from LOCAL_OUT; a local server's packet just goes on."""
    kernel = namespace.kernel
    address, port = connection.server
    route = namespace.fib_for(address).lookup(address)
    if route is None or route.device is None or route.kind not in ("local", "unicast"):
        kernel.drop(packet, namespace, DropReason.IP_OUTNOROUTES, "IPVS: no route to the server")
        kernel.send_unreachable(namespace, packet, "host")
        return False
    if route.kind != "local" and not _hop_left(namespace, packet):
        return False
    before = packet.endpoints()[1]
    if packet.protocol in _ICMP:
        _readdress_error(packet, connection, to_server=True)
    else:
        packet.set_destination(address, port)
        _alter_reply(packet, connection)
    _mark(packet, connection)
    _tell(namespace, packet, "DNAT", before, packet.endpoints()[1])
    if route.kind == "local":
        return True
    kernel.send_by(namespace, packet, route)
    return False


def _hop_left(namespace: "Namespace", packet: Packet) -> bool:
    if packet.ttl > 1:
        packet.decrease_ttl()
        return True
    namespace.kernel.drop(packet, namespace, DropReason.IP_INHDR, "TTL exceeded in transit")
    namespace.kernel.send_time_exceeded(namespace, packet)
    return False


def _alter_reply(packet: Packet, connection: IpvsConnection) -> None:
    """Tell connection tracking whom the answer will come from (ip_vs_update_conntrack)."""
    tracked = packet.connection
    if not connection.tracked or connection.one_packet or tracked is None:
        return
    if tracked.confirmed or packet.direction or packet.related:
        return
    protocol, _, _, destination, port = tracked.tuples[1]
    tracked.tuples[1] = (protocol, *connection.server, destination, port)


# -- ICMP errors


def _icmp_error(namespace: "Namespace", hook: str, packet: Packet) -> bool:
    """An error about a packet of a connection follows the connection's way (ip_vs_out_icmp, ip_vs_in_icmp)."""
    inner = quoted_packet(packet)
    if inner is None or inner.protocol not in _PROTOCOLS:
        return True
    connections = namespace.ipvs.connections
    request = connections.reply(
        (inner.protocol, inner.source, inner.source_port, inner.destination, inner.destination_port)
    )
    if request is not None:
        packet.recording = None
        before = packet.endpoints()[0]
        _readdress_error(packet, request, to_server=False)
        _mark(packet, request)
        _tell(namespace, packet, "SNAT", before, packet.endpoints()[0])
        return True
    answer = connections.requests.get(
        (inner.protocol, inner.destination, inner.destination_port, inner.source, inner.source_port)
    )
    if answer is None or hook == "FORWARD":
        return True
    packet.recording = None
    return _transmit(namespace, packet, answer)


def _readdress_error(packet: Packet, connection: IpvsConnection, *, to_server: bool) -> None:
    if to_server:
        translate_error(packet, (packet.protocol, 0, 0, *connection.server), source=False)
    else:
        translate_error(packet, (packet.protocol, *connection.virtual, 0, 0), source=True)
