"""The flow cache changes nothing but the time it takes: same bytes, same counters, cached or not."""

from hypothesis import given, settings
from hypothesis import strategies as st
from services import FLANNEL, rules
from topology import MILLISECOND, SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.printing.iptables import iptables_save
from podwire.services.node.kernel.printing.links import Selection, ip_link
from podwire.services.node.kernel.printing.netfilter import conntrack_list

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["udp", "udp", "udp", "service", "reply", "external", "wait", "sleep", "rule", "tcp"]),
        st.integers(0, 2),
        st.integers(0, 1600),
    ),
    min_size=5,
    max_size=40,
)
PODS = ((1, "a"), (1, "b"), (2, "c"))
UDP_RULES = rules("10.244.1.6:8080", "10.244.2.3:8080").replace("-p tcp", "-p udp").replace("-m tcp", "-m udp")


class Script:
    """One network that plays a script."""

    def __init__(self, *, cached: bool) -> None:
        self.network = network = Network(cached=cached)
        network[1].pod("a", 5)
        network[1].pod("b", 6)
        network[2].pod("c", 3)
        for node in network.nodes:
            flannel = FLANNEL.format(number=node.number)
            node.do(m.IptablesRestore(text=flannel, noflush=True))
            node.do(m.IptablesRestore(text=UDP_RULES, noflush=True))
        self.sockets = [network[node].sockets(pod).open_udp() for node, pod in PODS]
        for socket in self.sockets:
            socket.bind(("", 8080))
        self.received: list[object] = []
        self.listener = network[2].sockets("c").listen_tcp(("", 80))
        self.client = network[1].sockets("a").open_tcp()
        self.client.connect(("10.244.2.3", 80))
        network.run(SECOND)
        self.server = self.listener.accept()

    def play(self, action: str, who: int, size: int) -> None:
        network, socket = self.network, self.sockets[who]
        if action == "udp":
            node, pod = PODS[(who + 1) % 3]
            socket.send_to(bytes(size), (network[node].pods[pod], 8080))
        elif action == "service":
            socket.send_to(bytes(size), ("10.96.45.123", 80))
        elif action == "external":
            socket.send_to(bytes(size), ("10.0.0.2" if who < 2 else "10.0.0.1", 9))
        elif action == "reply":
            self._reply(who)
        elif action == "tcp" and self.server is not None:
            self.client.send(bytes(size))
            network.run(MILLISECOND)
            self.received.append(self.server.receive())
        elif action == "rule":
            network[1 + who % 2].do(m.IptablesCommand(arguments=("-A", "FORWARD", "-p", "udp", "-j", "ACCEPT")))
        network.run({"wait": MILLISECOND, "sleep": (who * 20 + 5) * SECOND}.get(action, 0))

    def _reply(self, who: int) -> None:
        while (datagram := self.sockets[who].receive()) is not None:
            self.received.append(datagram)
            if len(datagram.payload) % 2:
                self.sockets[who].send_to(datagram.payload[1:], datagram.source)

    def state(self) -> list[str]:
        texts = []
        for node in self.network.nodes:
            root = node.kernel.root
            node.kernel.settle()
            texts.append(iptables_save(root.netfilter, counters=True))
            texts += [ip_link(each, Selection(statistics=True)) for each in node.kernel.namespaces.values()]
            texts.append(conntrack_list(root))
            texts.append(repr(node.kernel.drops.counts))
        return texts


@settings(max_examples=25, deadline=None)
@given(ACTIONS)
def test_cached_and_uncached_agree(actions: list[tuple[str, int, int]]) -> None:
    cached, walked = Script(cached=True), Script(cached=False)
    for action in actions:
        for script in (cached, walked):
            try:
                script.play(*action)
            except OSError as error:
                script.received.append(error.errno)
        assert cached.network.frames == walked.network.frames
        assert cached.received == walked.received
        assert cached.state() == walked.state()


def test_flows_are_cached_at_all_and_cleared_by_a_change() -> None:
    script = Script(cached=True)
    for _ in range(4):
        script.play("udp", 1, 100)
    kernel = script.network[1].kernel
    assert len(kernel.flows) > 0
    script.network[1].do(m.SysctlWrite(key="net.ipv4.ip_forward", value="1"))
    assert len(kernel.flows) == 0


def test_a_cached_flow_keeps_its_connection_alive() -> None:
    script = Script(cached=True)
    for _ in range(10):
        script.play("udp", 1, 100)
        script.network.run(20 * SECOND)
    table = script.network[1].kernel.root.netfilter.connections
    udp = [each for each in table.connections() if each.tuples[0][0] == 17 and each.tuples[0][4] == 8080]
    assert [each.created // SECOND for each in udp] == [1]


def test_a_broken_packet_of_a_cached_flow_is_still_dropped() -> None:
    script = Script(cached=True)
    for _ in range(4):
        script.play("udp", 1, 100)
    network = script.network
    good = next(frame for frame in reversed(network.frames) if frame[36:38] == b"\x21\x18" and len(frame) > 150)
    before = network[2].kernel.root.devices["eth0"].receive_drops
    for position in (16, 24, 70, 66, 67):
        bad = bytearray(good)
        bad[position] ^= 0x55
        network[2].kernel.receive("eth0", bytes(bad), network.now)
    network.settle()
    counts = network[2].kernel.drops.counts
    assert sum(counts.values()) == 5, counts
    assert network[2].kernel.root.devices["eth0"].receive_drops > before
