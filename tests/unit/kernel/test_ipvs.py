"""IPVS in the datapath: a node's virtual services over pods here and there, with conntrack and MASQUERADE."""

import contextlib
import errno
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology import SECOND, Chance, Network, Node

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.operations.read import read
from podwire.services.node.kernel.printing.ipvs import ipvs_connections, ipvs_table
from podwire.services.node.kernel.printing.netfilter import conntrack_list
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket

VIP = "10.96.0.7"
SERVERS = (("10.244.1.6", 8080), ("10.244.2.3", 8080))
MASQUERADE = """create KUBE-CLUSTER-IP hash:ip,port
add KUBE-CLUSTER-IP 10.96.0.7,tcp:80
create KUBE-LOOP-BACK hash:ip,port,ip
add KUBE-LOOP-BACK 10.244.1.5,tcp:80,10.244.1.5
"""
RULES = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ
-A KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
"""


def service(**more: Any) -> m.IpvsServiceAdd:
    return m.IpvsServiceAdd(**{"address": VIP, "port": 80, "scheduler": "rr", **more})


def server(address: str, port: int, **more: Any) -> m.IpvsDestinationAdd:
    return m.IpvsDestinationAdd(**{"address": VIP, "port": 80, "server": address, "server_port": port, **more})


class Scene:
    """Two nodes: pods a (client) and b on the first, c on the second; the VIP on a dummy device of the first."""

    def __init__(self, *, cached: bool = True, conntrack: bool = True, protocol: str = "tcp", **settings: Any) -> None:
        self.network = Network(cached=cached)
        self.node: Node = self.network[1]
        self.node.pod("a", 5)
        self.node.pod("b", 6)
        self.network[2].pod("c", 3)
        self.node.do(
            m.LinkAdd(kind="dummy", name="kube-ipvs0"),
            m.AddressAdd(device="kube-ipvs0", address=f"{VIP}/32"),
            m.SysctlWrite(key="net.ipv4.vs.conntrack", value=str(int(conntrack))),
            service(protocol=protocol, **settings),
        )
        for each in reversed(SERVERS):
            self.node.do(server(*each, protocol=protocol))
        self.listeners: list[TcpListener] = []
        if protocol == "tcp":
            self.listeners = [
                self.node.sockets("b").listen_tcp(("", 8080)),
                self.network[2].sockets("c").listen_tcp(("", 8080)),
            ]

    def connect(self, netns: str = "a", *, wait: int = SECOND) -> TcpSocket:
        socket = self.node.sockets(netns).open_tcp()
        socket.connect((VIP, 80))
        self.network.run(wait)
        return socket

    def accepted(self) -> tuple[list[TcpSocket], list[TcpSocket]]:
        """What each server accepted since the last call."""
        found: tuple[list[TcpSocket], list[TcpSocket]] = ([], [])
        for listener, sockets in zip(self.listeners, found, strict=True):
            while (socket := listener.accept()) is not None:
                sockets.append(socket)
        return found

    def table(self) -> str:
        return "".join(line + "\n" for line in ipvs_table(self.node.kernel.root).splitlines()[3:])

    def connections(self) -> list[str]:
        return ipvs_connections(self.node.kernel.root).splitlines()[2:]


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(("netns", "conntrack"), [("a", True), ("a", False), ("", True)])
def test_a_connection_goes_to_a_server_and_back(cached: bool, conntrack: bool, netns: str) -> None:
    """From a pod, and from the node itself, whose source is masqueraded by ipset as kube-proxy's rules do it."""
    scene = Scene(cached=cached, conntrack=conntrack)
    if not netns:
        scene.node.do(m.IpsetRestore(text=MASQUERADE), m.IptablesRestore(text=RULES))
    for _ in range(4):
        client = scene.connect(netns)
        assert client.state == "ESTABLISHED"
        client.send(b"question" * 500)
        scene.network.run(SECOND)
        here, there = scene.accepted()
        (peer,) = here + there
        assert peer.receive() == b"question" * 500
        peer.send(b"answer")
        scene.network.run(SECOND)
        assert client.receive() == b"answer"
        assert client.remote_endpoint == (VIP, 80)
    assert scene.table() == (
        f"TCP  {VIP}:80 rr\n"
        "  -> 10.244.1.6:8080              Masq    1      2          0         \n"
        "  -> 10.244.2.3:8080              Masq    1      2          0         \n"
    )


def test_connection_tracking_knows_whom_the_answer_comes_from() -> None:
    scene = Scene()
    client = scene.connect()
    lines = [line for line in conntrack_list(scene.node.kernel.root).splitlines() if line.startswith("tcp")]
    port = client.local[1]
    assert lines == [
        f"tcp      6 431999 ESTABLISHED src=10.244.1.5 dst={VIP} sport={port} dport=80 "
        f"src=10.244.1.6 dst=10.244.1.5 sport=8080 dport={port} [ASSURED] mark=0 use=1"
    ]


def test_the_connection_list_and_its_states() -> None:
    scene = Scene()
    client = scene.connect()
    port = client.local[1]
    ends = f"10.244.1.5:{port}   {VIP}:80       10.244.1.6:8080"
    assert scene.connections() == [f"TCP 14:59  ESTABLISHED {ends}"]
    client.close()
    scene.network.run(SECOND)
    assert scene.connections() == [f"TCP 00:59  CLOSE_WAIT  {ends}"]
    scene.accepted()[0][0].close()
    scene.network.run(SECOND)
    assert scene.connections() == [f"TCP 01:59  TIME_WAIT   {ends}"]
    assert scene.table().splitlines()[1] == "  -> 10.244.1.6:8080              Masq    1      0          1         "
    scene.network.run(120 * SECOND)
    assert scene.connections() == []
    assert "ASSURED" not in conntrack_list(scene.node.kernel.root).replace("udp", "")


def test_a_new_service_needs_no_packet_to_be_forgotten_by_the_cache() -> None:
    """A flow that was cached while there was no service goes to a server once there is one."""
    network = Network()
    node = network[1]
    node.pod("a", 5)
    node.pod("b", 6)
    node.do(m.LinkAdd(kind="dummy", name="d"), m.AddressAdd(device="d", address=f"{VIP}/32"))
    here, there = node.sockets().open_udp(), node.sockets("b").open_udp()
    here.bind((VIP, 80))
    there.bind(("", 8080))
    client = node.sockets("a").open_udp()
    for _ in range(3):
        client.send_to(b"1", (VIP, 80))
    node.do(service(protocol="udp"), server("10.244.1.6", 8080, protocol="udp"))
    for _ in range(3):
        client.send_to(b"2", (VIP, 80))
    network.run(SECOND)
    assert [here.receive().payload for _ in range(3)] == [b"1"] * 3  # type: ignore[union-attr]  # all have arrived
    assert [there.receive().payload for _ in range(3)] == [b"2"] * 3  # type: ignore[union-attr]  # all have arrived


def test_nobody_serves() -> None:
    scene = Scene()
    for each in SERVERS:
        scene.node.do(m.IpvsDestinationDelete(address=VIP, port=80, server=each[0], server_port=each[1]))
    client = scene.connect()
    assert client.error == errno.ECONNREFUSED


def test_a_weight_of_zero_lets_connections_run_out() -> None:
    scene = Scene()
    first = scene.connect()
    (peer,) = scene.accepted()[0]
    scene.node.do(m.IpvsDestinationSet(address=VIP, port=80, server=SERVERS[0][0], server_port=8080, weight=0))
    for _ in range(3):
        scene.connect()
    assert [len(each) for each in scene.accepted()] == [0, 3]
    first.send(b"still here")
    scene.network.run(SECOND)
    assert peer.receive() == b"still here"


def test_a_deleted_server_takes_its_connections_with_it_and_gets_them_back() -> None:
    scene = Scene()
    client = scene.connect()
    (peer,) = scene.accepted()[0]
    gone = {"address": VIP, "port": 80, "server": SERVERS[0][0], "server_port": 8080}
    scene.node.do(m.IpvsDestinationDelete(**gone))
    client.send(b"lost")
    scene.network.run(SECOND)
    assert peer.receive() is None
    scene.node.do(m.IpvsDestinationAdd(**gone))
    scene.network.run(10 * SECOND)
    assert peer.receive() == b"lost"
    assert scene.table().splitlines()[1].split()[4:] == ["1", "0"]


@pytest.mark.parametrize(("reuse", "state"), [("1", "ESTABLISHED"), ("0", "ESTABLISHED")])
def test_a_client_may_use_its_port_again(reuse: str, state: str) -> None:
    """With conn_reuse_mode 1 the new connection is scheduled anew, with 0 it goes to the same server."""
    scene = Scene()
    scene.node.do(m.SysctlWrite(key="net.ipv4.vs.conn_reuse_mode", value=reuse))
    client = scene.node.sockets("a").open_tcp()
    client.bind(("10.244.1.5", 40000))
    client.connect((VIP, 80))
    scene.network.run(SECOND)
    client.close()
    scene.network.run(SECOND)
    scene.accepted()[0][0].close()
    scene.network.run(61 * SECOND)
    again = scene.node.sockets("a").open_tcp()
    again.bind(("10.244.1.5", 40000))
    again.connect((VIP, 80))
    scene.network.run(3 * SECOND)
    assert again.state == state
    assert [len(each) for each in scene.accepted()] == ([0, 1] if reuse == "1" else [1, 0])


def test_persistence_holds_a_client_to_its_server_until_it_has_been_away() -> None:
    scene = Scene(persistent=300)
    for _ in range(3):
        scene.connect().close()
    here, there = scene.accepted()
    assert (len(here), len(there)) == (3, 0)
    for each in here:
        each.close()
    assert [line.split()[2] for line in scene.connections() if ":0 " in line] == ["ASSURED"]
    scene.network.run(298 * SECOND)
    scene.connect().close()
    assert [len(each) for each in scene.accepted()] == [1, 0]
    scene.network.run(700 * SECOND)
    assert scene.connections() == []
    scene.connect()
    assert [len(each) for each in scene.accepted()] == [0, 1]
    assert scene.table().splitlines()[0] == f"TCP  {VIP}:80 rr persistent 300"


def test_a_firewall_mark_selects_a_service_of_many_ports() -> None:
    scene = Scene()
    scene.node.do(
        m.IpvsServiceAdd(fwmark=7, scheduler="rr"),
        m.IpvsDestinationAdd(fwmark=7, server="10.244.2.3", server_port=0),
        m.IptablesCommand(
            arguments=("-t", "mangle", "-A", "PREROUTING", "-d", VIP, "-p", "tcp", "-j", "MARK", "--set-mark", "7")
        ),
    )
    listener = scene.network[2].sockets("c").listen_tcp(("", 9999))
    client = scene.node.sockets("a").open_tcp()
    client.connect((VIP, 9999))
    scene.network.run(SECOND)
    assert client.state == "ESTABLISHED"
    assert listener.accept() is not None
    assert scene.table().splitlines()[-2:] == [
        "FWM  7 rr",
        "  -> 10.244.2.3:0                 Masq    1      1          0         ",
    ]


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_other_protocols(protocol: str) -> None:
    scene = Scene(protocol=protocol)
    if protocol == "udp":
        there = scene.network[2].sockets("c").open_udp()
        there.bind(("", 8080))
        client = scene.node.sockets("a").open_udp()
        here = scene.node.sockets("b").open_udp()
        here.bind(("", 8080))
        client.send_to(b"?", (VIP, 80))
        scene.network.run(SECOND)
        asked = here.receive()
        assert asked is not None
        here.send_to(b"!", asked.source)
        scene.network.run(SECOND)
        answered = client.receive()
        assert answered is not None
        assert (answered.payload, answered.source) == (b"!", (VIP, 80))
        assert scene.connections()[0].split()[:3] == ["UDP", "04:59", "UDP"]
        assert scene.table().splitlines()[1].split()[-2:] == ["0", "1"]
        return
    listener = scene.node.sockets("b").sctp.listen(("", 8080))
    association = scene.node.sockets("a").sctp.open()
    association.connect((VIP, 80))
    scene.network.run(SECOND)
    peer = listener.accept()
    assert peer is not None
    association.send(b"?")
    peer.send(b"!")
    scene.network.run(SECOND)
    received = [each.receive() for each in (peer, association)]
    assert [each and each.payload for each in received] == [b"?", b"!"]
    assert scene.connections()[0].split()[0::2][:2] == ["SCTP", "ESTABLISHED"]


def test_errors_find_their_way_back_through_the_translation() -> None:
    """A server that refuses says so in the service's name, and a path that is too narrow too."""
    scene = Scene(protocol="udp")
    client = scene.node.sockets("a").open_udp()
    client.connect((VIP, 80))
    client.send(b"?")
    scene.network.run(SECOND)
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ECONNREFUSED


def test_counters_and_rates() -> None:
    scene = Scene()
    client = scene.connect()
    for _ in range(20):
        client.send(b"x" * 100)
        scene.network.run(SECOND // 10)
    (found,) = read(scene.node.kernel, m.Read(kind="ipvs-services"))
    total = found.statistics
    # SYN, ACK, 20 segments; SYN-ACK, 20 acknowledgements
    assert (total.connections, total.in_packets, total.out_packets) == (1, 22, 21)
    assert total.in_bytes == 22 * 40 + 20 * 100 + 8
    assert found.rates.in_packets > 0
    assert sum(each.statistics.in_packets for each in found.destinations) == 22
    scene.network.run(60 * SECOND)
    (found,) = read(scene.node.kernel, m.Read(kind="ipvs-services"))
    assert (found.rates.connections, found.rates.in_packets) == (0, 0)
    scene.node.do(m.IpvsZero())
    (found,) = read(scene.node.kernel, m.Read(kind="ipvs-services"))
    assert found.statistics.in_packets == 0


def test_one_packet_scheduling_chooses_for_every_datagram() -> None:
    scene = Scene(protocol="udp", one_packet=True)
    sockets = [scene.node.sockets("b").open_udp(), scene.network[2].sockets("c").open_udp()]
    for each in sockets:
        each.bind(("", 8080))
    client = scene.node.sockets("a").open_udp()
    for _ in range(6):
        client.send_to(b"?", (VIP, 80))
    scene.network.run(SECOND)
    counts = []
    for each in sockets:
        got = 0
        while each.receive() is not None:
            got += 1
        counts.append(got)
    assert counts == [3, 3]


def test_thresholds_close_a_server_until_connections_are_gone() -> None:
    scene = Scene()
    limited = {"address": VIP, "port": 80, "server": SERVERS[0][0], "server_port": 8080}
    scene.node.do(m.IpvsDestinationSet(**limited, upper_threshold=2, lower_threshold=1))
    for _ in range(6):
        scene.connect()
    assert [len(each) for each in scene.accepted()] == [2, 4]


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        (service(), errno.EEXIST),
        (service(port=81, scheduler="fastest"), errno.ENOENT),
        (service(port=70000), errno.EINVAL),
        (service(address="10.96"), errno.EINVAL),
        (service(port=81, schedule_flags=("sh-port",)), errno.EINVAL),
        (service(port=81, one_packet=True), errno.EINVAL),
        (m.IpvsServiceDelete(address=VIP, port=81), errno.ESRCH),
        (m.IpvsServiceSet(address=VIP, port=81), errno.ESRCH),
        (m.IpvsZero(address=VIP, port=81), errno.ESRCH),
        (server(*SERVERS[0]), errno.EEXIST),
        (server("10.244.9.9", 80, weight=-1), errno.ERANGE),
        (server("10.244.9.9", 80, lower_threshold=5), errno.ERANGE),
        (m.IpvsDestinationSet(address=VIP, port=80, server="10.244.9.9", server_port=1), errno.ENOENT),
        (m.IpvsDestinationDelete(address=VIP, port=81, server="10.244.9.9", server_port=1), errno.ESRCH),
        (m.IpvsTimeouts(tcp=-1), errno.EINVAL),
    ],
)
def test_what_is_refused(operation: m.Operation, number: int) -> None:
    scene = Scene()
    before = scene.table()
    with pytest.raises(KernelError) as caught:
        scene.node.do(operation)
    assert caught.value.errno == number
    assert scene.table() == before


@settings(max_examples=15, deadline=None)
@given(
    scheduler=st.sampled_from(["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"]),
    weights=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(1, 1000),
)
def test_every_connection_keeps_its_server(scheduler: str, weights: tuple[int, int], seed: int) -> None:
    """Whatever the scheduler and however weights change meanwhile, each byte arrives at the server that accepted."""
    scene = Scene(scheduler=scheduler)
    chance = Chance(seed)
    pairs: list[tuple[TcpSocket, TcpSocket]] = []
    for number in range(6):
        for each, weight in zip(SERVERS, weights, strict=True):
            changed = weight if number % 2 else chance.getrandbits(2) + 1
            scene.node.do(m.IpvsDestinationSet(address=VIP, port=80, server=each[0], server_port=8080, weight=changed))
        client = scene.connect()
        here, there = scene.accepted()
        (peer,) = here + there
        pairs.append((client, peer))
    for number, (client, _) in enumerate(pairs):
        client.send(bytes([number]) * 3000)
    scene.network.run(2 * SECOND)
    for number, (_, peer) in enumerate(pairs):
        assert peer.receive() == bytes([number]) * 3000


def test_an_address_of_a_device_that_is_down_is_local() -> None:
    """As kube-proxy leaves kube-ipvs0; the connected route comes only with the link."""
    network = Network(1)
    node = network[1]
    node.do(m.LinkAdd(kind="dummy", name="d"), m.AddressAdd(device="d", address="10.96.0.9/24"))
    fib = node.kernel.root.fib
    assert [fib.lookup(0x0A600000 + host).kind for host in (9,)] == ["local"]  # type: ignore[union-attr]  # there is one
    before = fib.lookup(0x0A60000A)
    assert before is None or before.length == 0
    node.do(m.LinkSet(name="d", up=True), m.LinkSet(name="d", up=False))
    assert fib.lookup(0x0A600009).kind == "local"  # type: ignore[union-attr]  # there is one
    node.do(m.LinkDelete(name="d"))
    after = fib.lookup(0x0A600009)
    assert after is None or after.kind != "local"


def counted(scene: Scene) -> dict[tuple[int, int], tuple[int, int]]:
    """(active, inactive) of each server by the connections that there are."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for each in scene.node.kernel.root.ipvs.connections.requests.values():
        active, inactive = found.get(each.server, (0, 0))
        found[each.server] = (active + each.established, inactive + (not each.established))
    return found


STEPS = st.lists(
    st.sampled_from(["connect", "close", "drain", "restore", "delete", "add", "flush", "wait", "reuse"]),
    max_size=14,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, scheduler=st.sampled_from(["rr", "wlc", "sh", "mh"]), persistent=st.sampled_from([0, 30]))
def test_counters_agree_with_the_connections_whatever_happens(
    steps: list[str], scheduler: str, persistent: int
) -> None:
    scene = Scene(scheduler=scheduler, persistent=persistent)
    scene.node.do(m.SysctlWrite(key="net.ipv4.vs.expire_nodest_conn", value="1"))
    endpoint = {"address": VIP, "port": 80, "server": SERVERS[0][0], "server_port": 8080}
    sockets: list[TcpSocket] = []
    operations: dict[str, tuple[m.Operation, ...]] = {
        "drain": (m.IpvsDestinationSet(**endpoint, weight=0),),
        "restore": (m.IpvsDestinationSet(**endpoint, weight=3),),
        "delete": (m.IpvsDestinationDelete(**endpoint),),
        "add": (m.IpvsDestinationAdd(**endpoint),),
        "flush": (m.IpvsFlush(), service(scheduler=scheduler), *(server(*each) for each in SERVERS)),
    }
    for step in steps:
        if step == "connect":
            sockets.append(scene.connect())
        elif step == "close" and sockets:
            sockets.pop(0).close()
        elif step == "reuse" and sockets:
            sockets.pop().abort()
        with contextlib.suppress(KernelError):  # what is there already, or gone already
            scene.node.do(*operations.get(step, ()))
        scene.network.run(70 * SECOND if step == "wait" else SECOND)
        known = counted(scene)
        for each in scene.node.kernel.root.ipvs.services.values():
            for dest in each.destinations:
                assert (dest.active, dest.inactive) == known.get((dest.address, dest.port), (0, 0))
    for socket in sockets:
        socket.abort()
    scene.network.run(2000 * SECOND)
    assert scene.connections() == []
    for each in scene.node.kernel.root.ipvs.services.values():
        assert [(d.active, d.inactive, d.persistent) for d in each.destinations] == [(0, 0, 0)] * len(each.destinations)


def test_cached_and_walking_packets_leave_the_same_bytes() -> None:
    """Flows through IPVS walk; those beside it are cached, also between its clients and servers."""

    def frames(*, cached: bool) -> list[bytes]:
        scene = Scene(cached=cached)
        scene.node.do(m.IpsetRestore(text=MASQUERADE), m.IptablesRestore(text=RULES))
        there = scene.network[2].sockets("c").open_udp()
        there.bind(("", 53))
        beside = scene.node.sockets("a").open_udp()
        for number in range(6):
            client = scene.connect("a" if number % 2 else "")
            for _ in range(4):
                client.send(bytes([number]) * 2000)
                beside.send_to(bytes([number]) * 100, ("10.244.2.3", 53))
                scene.network.run(SECOND // 10)
        assert bool(len(scene.node.kernel.flows)) == cached
        return scene.network.frames

    assert frames(cached=True) == frames(cached=False)


VIP6, SERVER6 = "fd96::7", "fd00:1::6"


def dual_stack(protocol: str, **settings: Any) -> Network:
    """A node with the pods a and b on cni0, which speak IPv6 too, and a service of its own on a device that is down."""
    network = Network(1)
    node = network[1]
    node.do(
        m.SysctlWrite(key="net.ipv6.conf.all.forwarding", value="1"),
        m.SysctlWrite(key="net.ipv4.vs.conntrack", value="1"),
        m.AddressAdd(device="cni0", address="fd00:1::1/64"),
    )
    for name, host in (("a", 5), ("b", 6)):
        node.pod(name, host)
        node.do(
            m.AddressAdd(netns=name, device="eth0", address=f"fd00:1::{host}/64"),
            m.RouteAdd(netns=name, destination="::/0", via="fd00:1::1"),
        )
    virtual = {"address": VIP6, "port": 80, "protocol": protocol}
    node.do(
        m.LinkAdd(kind="dummy", name="kube-ipvs0"),
        m.AddressAdd(device="kube-ipvs0", address=f"{VIP6}/128"),
        m.IpvsServiceAdd(**virtual, scheduler="mh", **settings),
        m.IpvsDestinationAdd(**virtual, server=SERVER6, server_port=8080),
    )
    network.run(5 * SECOND)
    return network


def test_an_ipv6_service() -> None:
    network = dual_stack("tcp", persistent=60, netmask="64")
    node = network[1]
    listener = node.sockets("b").listen_tcp(("fd00:1::6", 8080))
    client = node.sockets("a").open_tcp()
    client.connect((VIP6, 80))
    network.run(3 * SECOND)
    assert client.state == "ESTABLISHED"
    peer = listener.accept()
    assert peer is not None
    peer.send(b"answer")
    network.run(SECOND)
    assert client.receive() == b"answer"
    assert ipvs_table(node.kernel.root).splitlines()[3:] == [
        f"TCP  [{VIP6}]:80 mh persistent 60 mask 64",
        f"  -> [{SERVER6}]:8080             Masq    1      1          0         ",
    ]
    port = client.local[1]
    assert ipvs_connections(node.kernel.root).splitlines()[2:] == [
        f"TCP 14:59  ESTABLISHED [fd00:1::5]:{port}  [{VIP6}]:80       [{SERVER6}]:8080",
        f"TCP 00:56  ASSURED     [fd00:1::]:0       [{VIP6}]:80       [{SERVER6}]:8080",
    ]


def test_errors_about_an_ipv6_service() -> None:
    network = dual_stack("udp")
    client = network[1].sockets("a").open_udp()
    client.connect((VIP6, 80))
    client.send(b"?")
    network.run(3 * SECOND)
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ECONNREFUSED
    network[1].do(
        m.IpvsDestinationDelete(address=VIP6, port=80, protocol="udp", server=SERVER6, server_port=8080),
    )
    again = network[1].sockets("a").open_udp()
    again.connect((VIP6, 80))
    again.send(b"?")
    network.run(3 * SECOND)
    with pytest.raises(KernelError) as caught:
        again.receive()
    assert caught.value.errno == errno.ECONNREFUSED


def test_a_server_is_of_its_service_s_family() -> None:
    network = dual_stack("tcp")
    with pytest.raises(KernelError, match="Different address family"):
        network[1].do(m.IpvsDestinationAdd(address=VIP6, port=80, server="10.244.1.6", server_port=80))


def test_marks_are_apart_for_the_two_families() -> None:
    network = dual_stack("tcp")
    network[1].do(m.IpvsServiceAdd(fwmark=3), m.IpvsServiceAdd(fwmark=3, family="ipv6"))
    assert [line for line in ipvs_table(network[1].kernel.root).splitlines() if line.startswith("FWM")] == [
        "FWM  3 wlc",
        "FWM  3 IPv6 wlc",
    ]
