"""Multipath routes: shares by weight, a flow keeps to its way, ways over devices that are down are left out."""

import pytest
from topology import Chance

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import parse_ipv4
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import ICMP, UDP, build_packet
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.printing.routes import ip_route
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.programs.ip.arguments import IpError, read_call
from podwire.services.node.programs.ip.routes import change

NAMES = ("d0", "d1")
ADDRESSES = {"ipv4": "10.{}.0.1/24", "ipv6": "fd00:{}::1/64"}
TARGETS = {"ipv4": "10.82.{}.{}", "ipv6": "fd00:82::{}:{}"}
ROUTES = {"ipv4": "10.82.0.0/16", "ipv6": "fd00:82::/32"}
families = pytest.mark.parametrize("family", ["ipv4", "ipv6"])


def do(kernel: Kernel, *operations: m.Operation) -> None:
    for operation in operations:
        apply_operation(kernel, operation)


def machine(*weights: int, family: str = "ipv4") -> Kernel:
    """A machine with a dummy device for each weight, and a route over all of them."""
    kernel = Kernel("node-1", "boot", Chance())
    do(kernel, m.SysctlWrite(key="net.ipv4.ip_forward", value="1"))
    hops = []
    for number, weight in enumerate(weights):
        do(kernel, m.LinkAdd(kind="dummy", name=f"d{number}", up=True))
        do(kernel, m.AddressAdd(device=f"d{number}", address=ADDRESSES[family].format(number)))
        hops.append(m.NextHop(device=f"d{number}", weight=weight))
    do(kernel, m.RouteAdd(destination=ROUTES[family], hops=hops))
    return kernel


def sent(kernel: Kernel) -> list[int]:
    """Packets by device, since the last time."""
    kernel.settle()
    counters = [device.sent for device in kernel.root.devices.values() if device.kind == "dummy"]
    found = [counter.packets for counter in counters]
    for counter in counters:
        counter.set(0, 0)
    return found


def send(kernel: Kernel, family: str, destinations: int, ports: int = 1) -> None:
    """From one address and port to so many destinations and ports."""
    source = ADDRESSES[family].format(0).partition("/")[0]
    with kernel.turn():
        socket = kernel.root.sockets.open_udp()
        socket.bind((source, 5000))
        for number in range(destinations):
            for port in range(ports):
                socket.send_to(b"", (TARGETS[family].format(number >> 8, number & 255), 1000 + port))
        socket.close()


@families
@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (1, 2, 1)])
def test_flows_are_shared_by_weight(family: str, weights: tuple[int, ...]) -> None:
    kernel = machine(*weights, family=family)
    sent(kernel)
    send(kernel, family, 2_000)
    total = sum(weights)
    assert [packets / 2_000 for packets in sent(kernel)] == pytest.approx([each / total for each in weights], abs=0.04)


@families
def test_a_flow_keeps_to_its_way_and_ports_count_by_policy_1_only(family: str) -> None:
    kernel = machine(1, 1, family=family)
    sent(kernel)
    send(kernel, family, 1, ports=64)
    assert sorted(sent(kernel)) == [0, 64]
    do(kernel, m.SysctlWrite(key=f"net.{family}.fib_multipath_hash_policy", value="1"))
    send(kernel, family, 1, ports=64)
    assert min(sent(kernel)) > 16


def test_a_way_over_a_device_that_is_down_is_left_out_until_it_is_up_again() -> None:
    kernel = machine(1, 1)
    do(kernel, m.LinkSet(name="d0", up=False))
    sent(kernel)
    send(kernel, "ipv4", 64)
    assert sent(kernel) == [0, 64]
    assert ip_route(kernel.root).endswith(
        "10.82.0.0/16 \n\tnexthop dev d0 weight 1 dead linkdown \n\tnexthop dev d1 weight 1 \n"
    )
    do(kernel, m.LinkSet(name="d0", up=True))
    send(kernel, "ipv4", 64)
    assert min(sent(kernel)) > 16


@pytest.mark.parametrize("last", [m.LinkSet(name="d1", up=False), m.LinkDelete(name="d1")], ids=["down", "gone"])
def test_the_route_goes_with_its_last_way_and_with_any_device(last: m.Operation) -> None:
    kernel = machine(1, 1)
    if isinstance(last, m.LinkSet):
        do(kernel, m.LinkSet(name="d0", up=False))
    do(kernel, last)
    assert "10.82" not in ip_route(kernel.root)


def test_of_ipv6_one_way_may_be_deleted_of_ipv4_the_route() -> None:
    for family, left in (("ipv6", ["fd00:82::/32 dev d0 metric 1024 pref medium"]), ("ipv4", [])):
        kernel = machine(1, 1, family=family)
        device = "d1" if family == "ipv6" else "d0"
        do(kernel, m.RouteDelete(destination=ROUTES[family], device=device))
        assert [line for line in ip_route(kernel.root, family=family).splitlines() if "82" in line] == left


def test_an_icmp_error_goes_the_way_of_what_it_quotes() -> None:
    kernel = machine(1, 1)
    do(kernel, m.NetnsAdd(netns="in"), m.LinkAdd(kind="veth", name="v", peer="e", peer_netns="in", up=True))
    do(kernel, m.LinkSet(netns="in", name="e", up=True), m.AddressAdd(device="v", address="10.9.0.1/24"))
    way = [quoted_way(kernel, last) for last in range(40)]
    assert all(error == quoted for error, quoted in way)
    assert len(dict.fromkeys(way)) == 2


def quoted_way(kernel: Kernel, last: int) -> tuple[str, str]:
    """The devices that an error from a router leaves by, and that a packet with the quoted addresses would."""
    quoted = build_packet(parse_ipv4(f"10.82.0.{last}"), parse_ipv4(f"10.82.9.{last}"), UDP, bytes(8))
    error = build_packet(parse_ipv4("10.9.0.7"), parse_ipv4("10.82.0.1"), ICMP, Icmp(11, 0).build(quoted))
    found = []
    for data in (error, quoted):
        packet = Packet(data)
        assert packet.parse() is None
        route = kernel.root.fib.route(packet)
        assert route is not None and route.device is not None
        found.append(route.device.name)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("add 10.9.0.0/16 nexthop dev d0 weight 0", 'Error: argument "0" is wrong: "weight" is invalid'),
        ("add 10.9.0.0/16 nexthop dev d0 weight 257", 'Error: argument "257" is wrong: "weight" is invalid'),
        ("add 10.9.0.0/16 nexthop dev d0 now", 'Error: "nexthop" or end of line is expected instead of "now"'),
        ("add 10.9.0.0/16 nexthop via 10.7.0.1 nexthop dev d1", "Nexthop has invalid gateway."),
        ("add 10.9.0.0/16 nexthop dev d0 nexthop dev none", 'Cannot find device "none"'),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    kernel = machine(1, 1)
    with pytest.raises((IpError, KernelError)) as refused:
        do(kernel, *change(kernel.root, read_call(["route", *words.split()])))
    assert message in str(refused.value)


def test_a_policy_that_is_not_built_is_refused() -> None:
    with pytest.raises(KernelError, match="fib_multipath_hash_policy"):
        do(machine(1), m.SysctlWrite(key="net.ipv4.fib_multipath_hash_policy", value="2"))
