"""The one address plan of kernel tests: nodes as Flannel makes them, joined by a toy switch, on virtual time.

control-plane is not there; node-N has 10.0.0.N on eth0, cni0 with 10.244.N.1/24 and flannel.1 with 10.244.N.0.
"""

from collections import deque
from collections.abc import Callable

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import format_mac, parse_mac
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.kernel.sockets.table import SocketTable

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Chance:
    """A small seeded generator (xorshift64*)."""

    def __init__(self, seed: int = 7) -> None:
        self._state = seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1 or 1

    def getrandbits(self, k: int) -> int:
        bits = 0
        for _ in range((k + 31) // 32):
            self._state ^= self._state >> 12
            self._state ^= self._state << 25 & (1 << 64) - 1
            self._state ^= self._state >> 27
            bits = bits << 32 | (self._state * 0x2545F4914F6CDD1D >> 32) & 0xFFFFFFFF
        return bits & (1 << k) - 1


class Node:
    """A machine with Flannel's devices."""

    def __init__(self, number: int, *, cached: bool = True) -> None:
        self.number = number
        self.name = f"node-{number}"
        self.kernel = Kernel(self.name, f"boot-{number}", Chance(number))
        self.kernel.flows.enabled = cached
        self.mac = format_mac(bytes((2, 0, 0, 0, 0, number)))
        self.vtep = format_mac(bytes((2, 0, 0, 0, 1, number)))
        self.do(
            m.SysctlWrite(key="net.ipv4.ip_forward", value="1"),
            m.LinkAdd(kind="nic", name="eth0", address=self.mac, up=True, segment="lan"),
            m.AddressAdd(device="eth0", address=f"10.0.0.{number}/24", broadcast="+"),
            m.RouteAdd(destination="default", via="10.0.0.254"),
            m.LinkAdd(
                kind="vxlan",
                name="flannel.1",
                address=self.vtep,
                vni=1,
                device="eth0",
                local=f"10.0.0.{number}",
                learning=False,
                up=True,
            ),
            m.AddressAdd(device="flannel.1", address=f"10.244.{number}.0/32"),
            m.LinkAdd(kind="bridge", name="cni0", mtu=1450, address=f"02:00:00:00:02:{number:02x}", up=True),
            m.AddressAdd(device="cni0", address=f"10.244.{number}.1/24", broadcast="+"),
        )
        self.pods: dict[str, str] = {}

    def do(self, *operations: m.Operation) -> None:
        for operation in operations:
            apply_operation(self.kernel, operation)

    def learn(self, other: "Node") -> None:
        """What flanneld programs for another node."""
        network = f"10.244.{other.number}.0"
        self.do(
            m.NeighbourReplace(device="flannel.1", address=network, mac=other.vtep),
            m.FdbReplace(device="flannel.1", mac=other.vtep, remote=f"10.0.0.{other.number}"),
            m.RouteReplace(destination=f"{network}/24", device="flannel.1", via=network, onlink=True),
        )

    def pod(self, name: str, host: int, mtu: int = 1450) -> str:
        """A pod as the bridge plugin makes it; its address."""
        address = f"10.244.{self.number}.{host}"
        self.do(
            m.NetnsAdd(netns=name),
            m.LinkSet(netns=name, name="lo", up=True),
            m.LinkAdd(kind="veth", name=f"veth{host}", peer="eth0", peer_netns=name, mtu=mtu, up=True),
            m.LinkSet(name=f"veth{host}", master="cni0", hairpin=True),
            m.LinkSet(netns=name, name="eth0", up=True),
            m.AddressAdd(netns=name, device="eth0", address=f"{address}/24", broadcast="+"),
            m.RouteAdd(netns=name, destination="default", via=f"10.244.{self.number}.1"),
        )
        self.pods[name] = address
        return address

    def sockets(self, netns: str = "") -> SocketTable:
        return self.kernel.namespace(netns).sockets


class Network:
    """Nodes on one segment.

    `fate` decides what becomes of a frame: (delay ns) or None for lost; `is_doubled` whether it also arrives again.
    """

    def __init__(self, count: int = 2, *, cached: bool = True) -> None:
        self.nodes = [Node(number, cached=cached) for number in range(1, count + 1)]
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    node.learn(other)
        self.now = 0
        self.frames: list[bytes] = []
        self.fate: Callable[[bytes], int | None] = lambda _: 0
        self.is_doubled: Callable[[bytes], bool] = lambda _: False
        self._wire: deque[tuple[int, Node, bytes, str]] = deque()

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number - 1]

    def _collect(self) -> None:
        for node in self.nodes:
            sent, node.kernel.transmitted = node.kernel.transmitted, []
            for _, frame, trace in sent:
                self.frames.append(frame)
                delay = self.fate(frame)
                if delay is not None:
                    self._switch(node, frame, trace, self.now + delay)
                    if self.is_doubled(frame):
                        self._switch(node, frame, trace, self.now + delay + MILLISECOND)

    def _switch(self, sender: Node, frame: bytes, trace: str, when: int) -> None:
        for node in self.nodes:
            if node is not sender and (frame[0] & 1 or frame[:6] == parse_mac(node.mac)):
                self._wire.append((when, node, frame, trace))

    def settle(self) -> None:
        """Deliver everything that is due now."""
        self._collect()
        while due := [item for item in self._wire if item[0] <= self.now]:
            self._wire = deque(item for item in self._wire if item[0] > self.now)
            for _, node, frame, trace in due:
                node.kernel.receive("eth0", frame, self.now, trace)
            self._collect()

    def run(self, duration: int) -> None:
        """Let time pass, jumping from deadline to deadline."""
        end = self.now + duration
        while True:
            self.settle()
            upcoming = [item[0] for item in self._wire]
            upcoming += [d for node in self.nodes if (d := node.kernel.next_deadline()) is not None]
            after = min(upcoming, default=end + 1)
            if after > end:
                break
            self.now = max(self.now, after)
            for node in self.nodes:
                node.kernel.run_timers(self.now)
        self.now = end
        for node in self.nodes:
            node.kernel.run_timers(end)
        self.settle()
