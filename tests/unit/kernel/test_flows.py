"""The flow cache changes nothing but the time it takes: same bytes, same counters, cached or not."""

import re
from dataclasses import dataclass
from typing import Literal

import pytest
from dual import dual_cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from services import FLANNEL, rules
from topology import MILLISECOND, SECOND

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.flows.cache import FlowCache
from podwire.services.node.kernel.printing.iptables import iptables_save
from podwire.services.node.kernel.printing.links import Selection, ip_link
from podwire.services.node.kernel.printing.netfilter import conntrack_list

WORDS = ["udp", "udp", "udp", "service", "reply", "external", "echo", "wait", "sleep", "rule", "tcp"]
ACTIONS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 2), st.integers(0, 1600)), min_size=5, max_size=40)
UDP_RULES = rules("10.244.1.6:8080", "10.244.2.3:8080").replace("-p tcp", "-p udp").replace("-m tcp", "-m udp")


def in_ipv6(text: str) -> str:
    """A text of rules in the other family's address plan."""
    for pattern, replacement in (
        (r"10\.244\.0\.0/16", "fd00:10:244::/56"),
        (r"10\.244\.(\d)\.0/24", r"fd00:10:244:\1::/64"),
        (r"10\.244\.(\d)\.(\d):", r"[fd00:10:244:\1::\2]:"),
        (r"10\.244\.(\d)\.(\d)", r"fd00:10:244:\1::\2"),
        (r"10\.96\.(\d+)\.(\d+)", r"fd00:10:96::\1:\2"),
        (r"127\.0\.0\.0/8", "::1/128"),
        (r"224\.0\.0\.0/4", "ff00::/8"),
    ):
        text = re.sub(pattern, replacement, text)
    return text


@dataclass(frozen=True)
class Plan:
    """The addresses of a family."""

    family: Literal["ipv4", "ipv6"]
    machines: tuple[str, str]
    pods: tuple[str, str, str]
    service: str


PODS = ((1, "a"), (1, "b"), (2, "c"))
IPV4 = Plan("ipv4", ("10.0.0.1", "10.0.0.2"), ("10.244.1.5", "10.244.1.6", "10.244.2.3"), "10.96.45.123")
IPV6 = Plan(
    "ipv6",
    ("fd00:10::1", "fd00:10::2"),
    ("fd00:10:244:1::5", "fd00:10:244:1::6", "fd00:10:244:2::3"),
    "fd00:10:96::45:123",
)
families = pytest.mark.parametrize("plan", [IPV4, IPV6], ids=lambda plan: plan.family)


class Script:
    """One network that plays a script in one family."""

    def __init__(self, plan: Plan, *, cached: bool) -> None:
        self.plan = plan
        self.network = network = dual_cluster(cached=cached)
        for node in network.nodes:
            for text in (FLANNEL.format(number=node.number), UDP_RULES):
                told = text if plan is IPV4 else in_ipv6(text)
                node.do(m.IptablesRestore(text=told, family=plan.family, noflush=True))
        wildcard = "0.0.0.0" if plan is IPV4 else "::"
        self.sockets = [network[node].sockets(pod).open_udp() for node, pod in PODS]
        for socket in self.sockets:
            socket.bind((wildcard, 8080))
        self.pingers = [network[node].sockets(pod).open_ping() for node, pod in PODS]
        self.received: list[object] = []
        self.listener = network[2].sockets("c").listen_tcp((wildcard, 80))
        self.client = network[1].sockets("a").open_tcp()
        self.client.connect((plan.pods[2], 80))
        network.run(SECOND)
        self.server = self.listener.accept()

    def play(self, action: str, who: int, size: int) -> None:
        network, socket, plan = self.network, self.sockets[who], self.plan
        if action == "udp":
            socket.send_to(bytes(size), (plan.pods[(who + 1) % 3], 8080))
        elif action == "service":
            socket.send_to(bytes(size), (plan.service, 80))
        elif action == "external":
            socket.send_to(bytes(size), (plan.machines[who < 2], 9))
        elif action == "echo":
            self.pingers[who].send_echo(plan.pods[(who + 1) % 3], size, bytes(size))
        elif action == "reply":
            self._reply(who)
        elif action == "tcp" and self.server is not None:
            self.client.send(bytes(size))
            network.run(MILLISECOND)
            self.received.append(self.server.receive())
        elif action == "rule":
            rule = ("-A", "FORWARD", "-p", "udp", "-j", "ACCEPT")
            network[1 + who % 2].do(m.IptablesCommand(arguments=rule, family=plan.family))
        network.run({"wait": MILLISECOND, "sleep": (who * 20 + 5) * SECOND}.get(action, 0))

    def _reply(self, who: int) -> None:
        self.received.append(self.pingers[who].receive())
        while (datagram := self.sockets[who].receive()) is not None:
            self.received.append(datagram)
            if len(datagram.payload) % 2:
                self.sockets[who].send_to(datagram.payload[1:], datagram.source)

    def state(self) -> list[str]:
        texts = []
        for node in self.network.nodes:
            root = node.kernel.root
            node.kernel.settle()
            texts += [iptables_save(each, counters=True) for each in (root.netfilter, root.netfilter6)]
            texts += [ip_link(each, Selection(statistics=True)) for each in node.kernel.namespaces.values()]
            texts.append(conntrack_list(root, self.plan.family))
            texts.append(repr(node.kernel.drops.counts))
        return texts


@families
@settings(max_examples=15, deadline=None)
@given(actions=ACTIONS)
def test_cached_and_uncached_agree(plan: Plan, actions: list[tuple[str, int, int]]) -> None:
    cached, walked = Script(plan, cached=True), Script(plan, cached=False)
    for action in actions:
        for script in (cached, walked):
            try:
                script.play(*action)
            except OSError as error:
                script.received.append(error.errno)
        assert cached.network.frames == walked.network.frames
        assert cached.received == walked.received
        assert cached.state() == walked.state()


@families
def test_flows_are_cached_at_all_and_cleared_by_a_change(plan: Plan) -> None:
    script = Script(plan, cached=True)
    for _ in range(4):
        script.play("udp", 1, 100)
    kernel = script.network[1].kernel
    assert len(kernel.flows) > 0
    script.network[1].do(m.SysctlWrite(key="net.ipv4.ip_forward", value="1"))
    assert len(kernel.flows) == 0


@pytest.mark.parametrize(("action", "who"), [("udp", 0), ("udp", 1), ("service", 2), ("echo", 1), ("tcp", 0)])
def test_of_a_flow_as_many_packets_are_spared_the_walk_in_either_family(
    action: str, who: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = [_spared(plan, action, who, monkeypatch) for plan in (IPV4, IPV6)]
    assert spared[0] == spared[1] > 5


def _spared(plan: Plan, action: str, who: int, monkeypatch: pytest.MonkeyPatch) -> int:
    hits, original = [], FlowCache._pass
    script = Script(plan, cached=True)
    with monkeypatch.context() as patch:
        patch.setattr(FlowCache, "_pass", lambda *given: (hits.append(1), original(*given)))
        for turn in range(8):
            script.play(action, who, 100 + turn)
            for each in range(3):
                script.play("reply", each, 0)
            script.network.run(SECOND)
    return len(hits)


@families
def test_a_cached_flow_keeps_its_connection_alive(plan: Plan) -> None:
    script = Script(plan, cached=True)
    for _ in range(10):
        script.play("udp", 1, 100)
        script.network.run(20 * SECOND)
    table = script.network[1].kernel.root.netfilter.connections
    udp = [each for each in table.connections() if each.tuples[0][0] == 17 and each.tuples[0][4] == 8080]
    assert [each.created // SECOND for each in udp] == [1]


@pytest.mark.parametrize(
    ("plan", "positions"),
    [(IPV4, (16, 24, 70, 66, 67)), (IPV6, (19, 59, 61, 100, 88, 89, 140))],
    ids=["ipv4", "ipv6"],
)
def test_a_broken_packet_of_a_cached_flow_is_still_dropped(plan: Plan, positions: tuple[int, ...]) -> None:
    script = Script(plan, cached=True)
    for _ in range(4):
        script.play("udp", 1, 100)
    network = script.network
    good = next(frame for frame in reversed(network.frames) if b"\x21\x18" in frame[36:58] and len(frame) > 150)
    drops = network[2].kernel.root.devices["eth0"].receive_drops, sum(network[2].kernel.drops.counts.values())
    for position in positions:
        for _ in range(2):
            network[2].kernel.receive("eth0", good, network.now)
        bad = bytearray(good)
        bad[position] ^= 0x55
        network[2].kernel.receive("eth0", bytes(bad), network.now)
    network.settle()
    counts = network[2].kernel.drops.counts
    assert sum(counts.values()) - drops[1] == len(positions), counts
    assert network[2].kernel.root.devices["eth0"].receive_drops > drops[0]
