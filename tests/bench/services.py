"""What the number of Services costs a flow's first packet: rules that podwire counts, beside the time that Linux takes.

The same rules, in the structure of kube-proxy's iptables mode, in both; a packet from a pod to the last Service is sent
through VXLAN, so that the outer packet passes KUBE-SERVICES as well.
"""

import random
import shutil
import time
from collections.abc import Iterator
from typing import Final

from tests.bench.kernels import PORT, Counting, udp_frame
from tests.bench.table import Row
from tests.oracle.worlds import LinuxWorld, why_not
from tests.unit.kernel.topology import Network

from podwire.proto.messages import kernel as m

COUNTS: Final = (10, 1_000, 5_000, 10_000)
FLOWS: Final = 400
ROUNDS: Final = 3
POD, NODE_MAC, POD_MAC, OTHER_MAC = "10.244.1.2", "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:01:02"
TUNNEL_MACS: Final = ("02:00:00:00:02:01", "02:00:00:00:02:02")
_HEADS: Final = (":PREROUTING ACCEPT", ":INPUT ACCEPT", ":OUTPUT ACCEPT", ":POSTROUTING ACCEPT", ":KUBE-SERVICES -")


def address(number: int) -> str:
    """A Service's address."""
    return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def rules(count: int) -> str:
    """So many Services with one endpoint each."""
    chains = [f":KUBE-{kind}-{number} - [0:0]" for number in range(count) for kind in ("SVC", "SEP")]
    lines = ["*nat", *(f"{head} [0:0]" for head in _HEADS), *chains]
    lines += [f"-A {hook} -j KUBE-SERVICES" for hook in ("PREROUTING", "OUTPUT")]
    for number in range(count):
        match = f"-d {address(number)}/32 -p udp -m udp --dport 80"
        lines.append(f"-A KUBE-SERVICES {match} -j KUBE-SVC-{number}")
        lines.append(f"-A KUBE-SVC-{number} -j KUBE-SEP-{number}")
        lines.append(f"-A KUBE-SEP-{number} -p udp -m udp -j DNAT --to-destination 10.244.2.2:{PORT}")
    return "\n".join([*lines, "COMMIT", ""])


def rules_passed(count: int) -> int:
    """How many rules podwire's kernel says that the first packet passed on the sending machine."""
    network = Network(2)
    network[1].pod("one", 2)
    network[2].pod("two", 2)
    Counting(network, 2, "two")
    network[1].do(m.IptablesRestore(text=rules(count), noflush=True))
    network[1].sockets("one").open_udp("trace").send_to(b"?", (address(count - 1), 80))
    network.settle()
    passed: dict[tuple[str, str, int], int] = {}
    round_, last = 0, ""
    for hop in network[1].kernel.hops:
        if hop.hook != last:
            round_, last = round_ + 1, hop.hook
        if hop.table:
            passed[hop.hook, hop.table, round_] = max(passed.get((hop.hook, hop.table, round_), 0), hop.rules_passed)
    return sum(passed.values())


TOPOLOGY: Final = [
    *(m.NetnsAdd(netns=name) for name in ("pod", "node", "other")),
    m.SysctlWrite(netns="node", key="net.ipv4.ip_forward", value="1"),
    m.LinkAdd(
        netns="node",
        kind="veth",
        name="p0",
        address=NODE_MAC,
        peer="eth0",
        peer_netns="pod",
        peer_address=POD_MAC,
        up=True,
    ),
    m.LinkAdd(netns="node", kind="veth", name="e0", peer="eth0", peer_netns="other", peer_address=OTHER_MAC, up=True),
    m.LinkSet(netns="pod", name="eth0", up=True),
    m.LinkSet(netns="other", name="eth0", up=True),
    m.AddressAdd(netns="pod", device="eth0", address=f"{POD}/24"),
    m.AddressAdd(netns="node", device="p0", address="10.244.1.1/24"),
    m.AddressAdd(netns="node", device="e0", address="10.0.0.1/24"),
    m.AddressAdd(netns="other", device="eth0", address="10.0.0.2/24"),
    m.LinkAdd(
        netns="node",
        kind="vxlan",
        name="vx",
        address=TUNNEL_MACS[0],
        vni=1,
        device="e0",
        local="10.0.0.1",
        learning=False,
        up=True,
    ),
    m.AddressAdd(netns="node", device="vx", address="10.244.1.0/32"),
    m.NeighbourReplace(netns="node", device="e0", address="10.0.0.2", mac=OTHER_MAC),
    m.NeighbourReplace(netns="node", device="vx", address="10.244.2.0", mac=TUNNEL_MACS[1]),
    m.FdbReplace(netns="node", device="vx", mac=TUNNEL_MACS[1], remote="10.0.0.2"),
    m.RouteReplace(netns="node", destination="10.244.2.0/24", device="vx", via="10.244.2.0", onlink=True),
]
"""A pod's namespace, its node, and another node behind VXLAN."""


def linux_seconds(counts: tuple[int, ...]) -> dict[int, float]:
    """Seconds that this machine's kernel takes for a flow's first packet, the best of some rounds."""
    world = LinuxWorld()
    restore = shutil.which("iptables-legacy-restore") or "iptables-restore"
    try:
        world.build(TOPOLOGY, [("other", "eth0")])
        link = bytes.fromhex(NODE_MAC.replace(":", "")) + bytes.fromhex(POD_MAC.replace(":", ""))
        ports = iter(random.Random(1).sample(range(2_000, 60_000), len(counts) * FLOWS * ROUNDS))
        found = {}
        for count in counts:
            world.run("node", [restore], rules(count))
            frames = [udp_frame(link, POD, address(count - 1), next(ports), 80) for _ in range(FLOWS * ROUNDS)]
            rounds = [frames[start : start + FLOWS] for start in range(0, len(frames), FLOWS)]
            found[count] = min(_send(world, each) for each in rounds) / FLOWS
        return found
    finally:
        world.close()


def _send(world: LinuxWorld, frames: list[bytes]) -> float:
    """Seconds to send; the whole way runs inside the call (veth's softirq)."""
    sender = world.packet_socket("pod", "eth0")
    try:
        began = time.perf_counter()
        for frame in frames:
            sender.send(frame)
        return time.perf_counter() - began
    finally:
        sender.close()


def measure() -> Iterator[Row]:
    """All rows."""
    passed = {count: rules_passed(count) for count in COUNTS}
    names = " / ".join(f"{count:,}" for count in COUNTS)
    yield Row(
        f"rules that a first packet passes, {names} Services", " / ".join(f"{each:,}" for each in passed.values())
    )
    if reason := why_not():
        yield Row("  Linux's time for it", f"not measured: {reason}")
        return
    taken = linux_seconds(COUNTS)
    yield Row("  Linux's time for it, µs", " / ".join(f"{each * 1e6:,.0f}" for each in taken.values()))
    low, high = COUNTS[0], COUNTS[-1]
    a_rule = (taken[high] - taken[low]) / (passed[high] - passed[low])
    modelled = {count: taken[low] + (passed[count] - passed[low]) * a_rule for count in COUNTS}
    yield Row("  modelled from the rules passed, µs", " / ".join(f"{each * 1e6:,.0f}" for each in modelled.values()))
    worst = max(abs(modelled[count] / taken[count] - 1) for count in COUNTS)
    yield Row("  ns a rule; the model's largest error", f"{a_rule * 1e9:.1f}; {worst:.0%}", "the same curve")
