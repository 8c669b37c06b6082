"""flanneld's tunnel: what the device should hold for the other nodes, and what to change to get there."""

import pytest

from podwire.proto.kube.network import Node
from podwire.proto.messages import codec
from podwire.proto.messages import kernel as k
from podwire.services.cni.flannel.core import direct
from podwire.services.cni.flannel.core.configuration import ConfigurationError, read, subnet_environment
from podwire.services.cni.flannel.core.leases import HOST_GW, Lease, annotations, lease_of, subnet_of
from podwire.services.cni.flannel.core.masquerade import restore_text
from podwire.services.cni.flannel.core.stack import V4, V6, Stack
from podwire.services.cni.flannel.core.tunnel import Present, changes

NODE_2 = Lease("10.244.2.0/24", "172.18.0.4", "aa:bb:cc:00:00:02")
NODE_3 = Lease("10.244.3.0/24", "172.18.0.5", "aa:bb:cc:00:00:03")
NOTHING = Present((), (), ())


def present(*leases: Lease) -> Present:
    """A device that holds exactly these leases."""
    return Present(
        tuple(k.Route(destination=e.subnet, via=e.tunnel_address, device="flannel.1", onlink=True) for e in leases),
        tuple(k.Neighbour(device="flannel.1", address=e.tunnel_address, mac=e.mac, state="PERMANENT") for e in leases),
        tuple(k.Fdb(device="flannel.1", mac=e.mac, remote=e.public_ip, permanent=True) for e in leases),
    )


def kinds(operations: list[k.Operation]) -> list[str]:
    return [type(operation).__name__ for operation in operations]


def test_a_new_node_is_three_entries() -> None:
    neighbour, fdb, route = changes("flannel.1", [NODE_2], NOTHING)
    assert neighbour == k.NeighbourReplace(device="flannel.1", address="10.244.2.0", mac=NODE_2.mac)
    assert fdb == k.FdbReplace(device="flannel.1", mac=NODE_2.mac, remote="172.18.0.4")
    assert route == k.RouteReplace(destination="10.244.2.0/24", via="10.244.2.0", device="flannel.1", onlink=True)


@pytest.mark.parametrize(
    ("leases", "before", "expected"),
    [
        ([NODE_2], present(NODE_2), []),
        ([NODE_2, NODE_3], present(NODE_2), ["NeighbourReplace", "FdbReplace", "RouteReplace"]),
        ([], present(NODE_2), ["RouteDelete", "NeighbourDelete", "FdbDelete"]),
        (
            [Lease(NODE_2.subnet, NODE_2.public_ip, "aa:bb:cc:00:00:99")],
            present(NODE_2),
            ["NeighbourDelete", "FdbDelete", "NeighbourReplace", "FdbReplace"],
        ),
        (
            [Lease("10.244.9.0/24", NODE_2.public_ip, NODE_2.mac)],
            present(NODE_2),
            ["RouteDelete", "NeighbourDelete", "NeighbourReplace", "RouteReplace"],
        ),
    ],
    ids=["as it should be", "a node joins", "a node leaves", "a node rebooted", "a node's subnet changed"],
)
def test_only_the_difference_is_sent(leases: list[Lease], before: Present, expected: list[str]) -> None:
    assert kinds(changes("flannel.1", leases, before)) == expected


def test_the_device_s_own_entries_are_left_alone() -> None:
    own = Present(
        (k.Route(destination="10.244.1.0/32", device="flannel.1"),), (), (k.Fdb(device="flannel.1", mac="x"),)
    )
    assert changes("flannel.1", [], own) == []


def a_node(told: dict[str, str], cidr: str = "10.244.2.0/24") -> Node:
    value = {"metadata": {"name": "n", "annotations": told}, "spec": {"podCIDR": cidr}}
    return codec.decode(Node, codec.encode(value))


def test_a_lease_is_told_and_understood() -> None:
    assert lease_of(a_node(annotations("172.18.0.4", 1, NODE_2.mac))) == NODE_2


@pytest.mark.parametrize(
    "node",
    [
        a_node({}),
        a_node(annotations("172.18.0.4", 1, NODE_2.mac), cidr=""),
        a_node(annotations("not an address", 1, NODE_2.mac)),
        a_node({**annotations("172.18.0.4", 1, NODE_2.mac), "flannel.alpha.coreos.com/backend-data": "{"}),
    ],
    ids=["no annotations", "no subnet", "a wrong address", "broken JSON"],
)
def test_a_node_without_a_usable_lease_is_passed_over(node: Node) -> None:
    assert lease_of(node) is None


def test_net_conf() -> None:
    configuration = read('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7, "Port": 4789}}')
    known = (configuration.network(V4), configuration.device(V4), configuration.port)
    assert known == ("10.244.0.0/16", "flannel.7", 4789)
    assert configuration.stacks == (V4,)


@pytest.mark.parametrize(
    ("given", "stacks"),
    [
        ('"EnableIPv6": true, "IPv6Network": "fd00:10:244::/56", "Network": "10.244.0.0/16"', (V4, V6)),
        ('"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:10:244::/56"', (V6,)),
        ('"EnableIPv4": true, "Network": "10.244.0.0/16", "IPv6Network": "ignored"', (V4,)),
    ],
)
def test_families_of_net_conf(given: str, stacks: tuple[Stack, ...]) -> None:
    configuration = read(f'{{{given}, "Backend": {{"Type": "vxlan"}}}}')
    assert configuration.stacks == stacks
    assert [configuration.device(stack) for stack in stacks] == [f"{stack.device}.1" for stack in stacks]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "net-conf.json"),
        ("[]", "an object is needed"),
        ('{"Network": "10.244.0.0/16"}', "vxlan and host-gw are"),
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard"}}', "wireguard"),
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "DirectRouting": "yes"}}', "DirectRouting 'yes'"),
        ('{"Network": "10.244.0.0/16", "EnableIPv6": true, "Backend": {"Type": "vxlan"}}', "IPv6Network"),
        ('{"Network": "10.244.0.0/16", "EnableIPv6": "yes", "Backend": {"Type": "vxlan"}}', "EnableIPv6 'yes'"),
        ('{"Network": "fd00::/56", "Backend": {"Type": "vxlan"}}', "Network"),
        ('{"EnableIPv4": false, "Backend": {"Type": "vxlan"}}', "one of them is needed"),
        (
            '{"EnableIPv6": true, "IPv6Network": "10.0.0.0/8", "Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}}',
            "6N",
        ),
        ('{"Network": "x", "Backend": {"Type": "vxlan"}}', "Network"),
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "VNI": 0}}', "VNI 0"),
        ('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "Port": 99999}}', "Port 99999"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(text)


def test_host_gw_has_no_tunnel_and_no_overhead() -> None:
    configuration = read('{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}')
    assert (configuration.backend, configuration.overhead) == (HOST_GW, 0)
    told = annotations("172.18.0.4", 1, "", HOST_GW)
    assert told["flannel.alpha.coreos.com/backend-data"] == "null"
    assert lease_of(a_node(told), HOST_GW) == Lease("10.244.2.0/24", "172.18.0.4")
    assert lease_of(a_node(told)) is None


def route(subnet: str, via: str) -> k.Route:
    return k.Route(destination=subnet, via=via, device="eth0")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([], [k.RouteReplace(destination="10.244.2.0/24", device="eth0", via="172.18.0.4")]),
        ([route("10.244.2.0/24", "172.18.0.4")], []),
        (
            [route("10.244.2.0/24", "172.18.0.99")],
            [k.RouteReplace(destination="10.244.2.0/24", device="eth0", via="172.18.0.4")],
        ),
        (
            [route("10.244.2.0/24", "172.18.0.4"), route("10.244.7.0/24", "172.18.0.7")],
            [k.RouteDelete(destination="10.244.7.0/24", device="eth0", via="172.18.0.7")],
        ),
        (
            [
                route("10.244.2.0/24", "172.18.0.4"),
                route("0.0.0.0/0", "172.18.0.1"),
                route("192.168.0.0/16", "172.18.0.9"),
            ],
            [],
        ),
    ],
    ids=["a node joins", "as it should be", "a node's address changed", "a node left", "routes of others"],
)
def test_direct_routes(before: list[k.Route], expected: list[k.Operation]) -> None:
    assert direct.changes("eth0", "10.244.0.0/16", [NODE_2], before) == expected


@pytest.mark.parametrize(("address", "expected"), [("172.18.0.4", True), ("172.19.0.4", False)])
def test_only_what_is_on_the_segment_is_reached_directly(address: str, expected: bool) -> None:
    assert direct.is_on_segment(address, ["172.18.0.2/16"]) is expected


def test_subnet_environment_is_flanneld_s() -> None:
    configuration = read('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}')
    assert subnet_environment(configuration, {"IPv4": "10.244.1.0/24"}, 1450).splitlines() == [
        "FLANNEL_NETWORK=10.244.0.0/16",
        "FLANNEL_SUBNET=10.244.1.1/24",
        "FLANNEL_MTU=1450",
        "FLANNEL_IPMASQ=true",
    ]


def test_subnet_environment_of_both_families() -> None:
    """As flannel's Documentation/configuration.md shows it."""
    configuration = read(
        '{"Network": "10.42.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:cafe:42::/56", '
        '"Backend": {"Type": "vxlan"}}'
    )
    subnets = {"IPv4": "10.42.0.0/24", "IPv6": "2001:cafe:42::/64"}
    assert subnet_environment(configuration, subnets, 1450).splitlines() == [
        "FLANNEL_NETWORK=10.42.0.0/16",
        "FLANNEL_SUBNET=10.42.0.1/24",
        "FLANNEL_IPV6_NETWORK=2001:cafe:42::/56",
        "FLANNEL_IPV6_SUBNET=2001:cafe:42::1/64",
        "FLANNEL_MTU=1450",
        "FLANNEL_IPMASQ=true",
    ]


def a_dual_node(told: dict[str, str]) -> Node:
    cidrs = ["10.244.2.0/24", "fd00:10:244:2::/64"]
    value = {"metadata": {"name": "n", "annotations": told}, "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}
    return codec.decode(Node, codec.encode(value))


@pytest.mark.parametrize("backend", ["vxlan", HOST_GW])
def test_each_family_has_a_lease_of_its_own(backend: str) -> None:
    mac4, mac6 = (NODE_2.mac, NODE_3.mac) if backend == "vxlan" else ("", "")
    told = annotations("172.18.0.4", 1, mac4, backend) | annotations("fc00::4", 1, mac6, backend, V6)
    node = a_dual_node(told)
    assert [subnet_of(node, stack) for stack in (V4, V6)] == ["10.244.2.0/24", "fd00:10:244:2::/64"]
    assert lease_of(node, backend) == Lease("10.244.2.0/24", "172.18.0.4", mac4)
    assert lease_of(node, backend, V6) == Lease("fd00:10:244:2::/64", "fc00::4", mac6)


@pytest.mark.parametrize(
    "told",
    [
        annotations("172.18.0.4", 1, NODE_2.mac),
        annotations("172.18.0.4", 1, NODE_2.mac, stack=V6),
        annotations("fc00::4%eth0", 1, NODE_2.mac, stack=V6) | {"flannel.alpha.coreos.com/backend-v6-data": "[]"},
    ],
    ids=["of the other family", "an address of the other family", "no object"],
)
def test_a_node_without_a_lease_of_the_family_is_passed_over(told: dict[str, str]) -> None:
    assert lease_of(a_dual_node(told), stack=V6) is None


def test_rules_of_ipv6() -> None:
    lines = restore_text("fd00:10:244::/56", "fd00:10:244:1::/64", V6).splitlines()
    masquerade = [line for line in lines if line.endswith("MASQUERADE --random-fully")]
    assert masquerade[0].startswith("-A FLANNEL-POSTRTG -s fd00:10:244::/56 ! -d ff00::/8 ")
    assert "224.0.0.0/4" not in "".join(lines)
