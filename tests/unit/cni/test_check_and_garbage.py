"""CHECK and GC of the plugins, both families in ADD, range sets: state is files and the kernel of the machine."""

from typing import Any

import pytest

from podwire.proto.messages import kernel as k
from podwire.services.node.cni import bridge, flannel, host_local, loopback, portmap, results
from podwire.services.node.cni.plugin import Address, Arguments, CniError, Host, Result

from .test_plugins import FLANNEL, Shell, a_pod, host, nat_rules, routes

__all__ = ["Shell", "host"]

DUAL = (
    b"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_NETWORK=fd00:10:244::/56\n"
    b"FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
)
V6_ONLY = b"".join(line + b"\n" for line in DUAL.splitlines() if b"IPV6" in line or b"MTU" in line or b"MASQ" in line)
PORTS = {
    "name": "cbr0",
    "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
}


def texts(result: Result) -> list[str]:
    return [entry.address for entry in result.addresses]


def routes6(host: Host, netns: str) -> list[tuple[str, str]]:
    found: list[k.Route] = host.program(k.Read(netns=netns, kind="routes", family="ipv6"))
    return [(route.destination, route.via) for route in found if route.table == "main" and route.via]


def files(host: Host) -> list[str]:
    return [name for name in host.files.entries("/var/lib/cni/networks/cbr0") if not name.startswith("last_")]


# -- both families


@pytest.mark.parametrize(
    ("environment", "first", "second"),
    [
        (DUAL, ["10.244.1.2/24", "fd00:10:244:1::2/64"], ["10.244.1.3/24", "fd00:10:244:1::3/64"]),
        (V6_ONLY, ["fd00:10:244:1::2/64"], ["fd00:10:244:1::3/64"]),
    ],
    ids=["dual", "ipv6"],
)
def test_a_pod_gets_an_address_of_each_family(
    host: Host, environment: bytes, first: list[str], second: list[str]
) -> None:
    host.files.write("/run/flannel/subnet.env", environment)
    pod = a_pod(host, "a")
    assert texts(flannel.add(host, FLANNEL, pod)) == first
    assert texts(flannel.add(host, FLANNEL, a_pod(host, "b"))) == second
    assert set(first) <= {address for device, address in host.addresses("a") if device == "eth0"}
    assert ("cni0", "fd00:10:244:1::1/64") in host.addresses()
    gateway = "fd00:10:244:1::1"
    assert sorted(routes6(host, "a")) == [("::/0", gateway), ("fd00:10:244::/56", gateway)]
    assert (("0.0.0.0/0", "10.244.1.1") in routes(host, "a")) is (environment is DUAL)
    flannel.delete(host, FLANNEL, pod)
    assert files(host) == [address.partition("/")[0] for address in second]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            b"",
            "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
        ),
        (b"FLANNEL_IPV6_NETWORK=fd00::/56\nFLANNEL_MTU=1\n", "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_IPMASQ"),
    ],
)
def test_of_each_variable_one_family_s_is_enough(host: Host, environment: bytes, says: str) -> None:
    host.files.write("/run/flannel/subnet.env", environment)
    with pytest.raises(CniError, match=f"is missing {says}"):
        flannel.add(host, FLANNEL, a_pod(host, "a"))


def test_one_family_without_room_frees_what_the_other_gave(host: Host) -> None:
    """As upstream: what was allocated from the sets before is released."""
    ipam = {"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/126"}]]}
    configuration = {"name": "cbr0", "ipam": ipam}
    given = [texts(host_local.add(host, configuration, a_pod(host, name))) for name in "ab"]
    assert given == [["10.0.0.2/24", "fd00::2/126"], ["10.0.0.3/24", "fd00::3/126"]]
    text = "failed to allocate for range 1: no IP addresses available in range set: fd00::1-fd00::3"
    with pytest.raises(CniError, match=text):
        host_local.add(host, configuration, a_pod(host, "c"))
    assert files(host) == ["10.0.0.2", "10.0.0.3", "fd00::2", "fd00::3"]


def test_ranges_with_bounds_and_several_in_a_set(host: Host) -> None:
    entries = [
        {"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.11", "gateway": "10.0.0.10"},
        {"subnet": "10.0.1.0/30"},
    ]
    configuration = {"name": "cbr0", "ipam": {"ranges": [entries]}}
    given = [host_local.add(host, configuration, a_pod(host, name)) for name in "ab"]
    assert [texts(each) for each in given] == [["10.0.0.11/24"], ["10.0.1.2/30"]]
    assert given[0].addresses[0].gateway == "10.0.0.10"
    with pytest.raises(CniError, match=r"range set: 10.0.0.10-10.0.0.11,10.0.1.1-10.0.1.2"):
        host_local.add(host, configuration, a_pod(host, "c"))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"subnet": "10.0.0.0/24", "rangeStart": "10.0.1.1"}, "rangeStart 10.0.1.1 not in network 10.0.0.0/24"),
        ({"subnet": "10.0.0.0/31"}, "too small to allocate from"),
        ({"subnet": "10.0.0.1/24"}, "has host bits set"),
        ({}, "invalid range set"),
        ([], "no IP ranges specified"),
    ],
)
def test_ranges_that_are_none_are_refused(host: Host, entry: Any, says: str) -> None:
    ranges = [[entry]] if isinstance(entry, dict) else [entry]
    with pytest.raises(CniError, match=says):
        host_local.add(host, {"name": "cbr0", "ipam": {"ranges": ranges}}, a_pod(host, "a"))


def map_both(host: Host, pod: Arguments, **entry: Any) -> None:
    addresses = (Address("10.244.1.2/24", "10.244.1.1"), Address("fd00:10:244:1::2/64", "fd00:10:244:1::1"))
    host.program(k.LinkAdd(kind="bridge", name="cni0"))
    mapping = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"} | entry
    configuration = {"name": "cbr0", "runtimeConfig": {"portMappings": [mapping]}}
    portmap.add(host, configuration, pod, Result(addresses, (), ("cni0", "veth1", "eth0")))


def nat_rules6(host: Host) -> list[str]:
    text: str = host.program(k.Read(kind="iptables-save", table="nat", family="ipv6"))
    return [line.partition("] ")[2] if line.startswith("[") else line for line in text.splitlines()]


@pytest.mark.parametrize(
    ("address", "in4", "in6"),
    [
        ("", True, True),
        ("0.0.0.0", True, False),
        ("::", False, True),
        ("172.18.0.3", True, False),
        ("fc00::3", False, True),
    ],
)
def test_a_host_port_leads_to_the_address_of_its_family(host: Host, address: str, in4: bool, in6: bool) -> None:
    map_both(host, a_pod(host, "a"), hostIP=address)
    assert any(rule.endswith("--to-destination 10.244.1.2:80") for rule in nat_rules(host)) is in4
    assert any(rule.endswith("--to-destination [fd00:10:244:1::2]:80") for rule in nat_rules6(host)) is in6
    portmap.delete(host, PORTS, Arguments("a", "a", "eth0", "default/a"))
    assert not any("CNI-DN-" in rule for rule in [*nat_rules(host), *nat_rules6(host)])


# -- CHECK


@pytest.fixture
def pod(host: Host) -> tuple[Arguments, Result]:
    """A pod of both families as ADD leaves it."""
    host.files.write("/run/flannel/subnet.env", DUAL)
    arguments = a_pod(host, "a")
    loopback.add(host, arguments)
    return arguments, flannel.add(host, FLANNEL, arguments)


def test_check_finds_nothing_after_add_however_often(host: Host, pod: tuple[Arguments, Result]) -> None:
    for _ in range(2):
        loopback.check(host, pod[0])
        flannel.check(host, FLANNEL, *pod)


BROKEN = [
    (k.LinkDelete(netns="a", name="eth0"), "Link not found"),
    (k.LinkDelete(name="cni0"), "cni0: Link not found"),
    (
        k.AddressDelete(netns="a", device="eth0", address="fd00:10:244:1::2/64"),
        "Failed to match addr fd00:10:244:1::2/64",
    ),
    (k.AddressDelete(netns="a", device="eth0", address="10.244.1.2/24"), "Failed to match addr 10.244.1.2/24"),
    (k.RouteDelete(netns="a", destination="::/0"), "Expected Route ::/0 not found"),
    (k.RouteDelete(netns="a", destination="10.244.0.0/16"), "Expected Route 10.244.0.0/16 not found"),
]


@pytest.mark.parametrize(("operation", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_check_says_what_is_not_as_it_was(
    host: Host, pod: tuple[Arguments, Result], operation: k.Operation, says: str
) -> None:
    host.program(operation)
    with pytest.raises(CniError, match=says):
        flannel.check(host, FLANNEL, *pod)


def test_check_needs_the_reserved_address_and_the_kept_configuration(host: Host, pod: tuple[Arguments, Result]) -> None:
    for name in files(host):
        host.files.remove(f"/var/lib/cni/networks/cbr0/{name}")
    with pytest.raises(CniError, match="Failed to find address added by container a"):
        flannel.check(host, FLANNEL, *pod)
    host.files.remove("/var/lib/cni/flannel/a")
    with pytest.raises(CniError, match="no such file or directory"):
        flannel.check(host, FLANNEL, *pod)


def test_check_of_the_loopback(host: Host, pod: tuple[Arguments, Result]) -> None:
    host.program(k.LinkSet(netns="a", name="lo", up=False))
    with pytest.raises(CniError, match="loopback interface is down"):
        loopback.check(host, pod[0])


def test_check_of_host_ports(host: Host) -> None:
    arguments = a_pod(host, "a")
    map_both(host, arguments)
    before = Result((Address("10.244.1.2/24"), Address("fd00:10:244:1::2/64")))
    portmap.check(host, PORTS, arguments, before)
    portmap.delete(host, PORTS, arguments)
    with pytest.raises(CniError, match="could not check iptables dnat"):
        portmap.check(host, PORTS, arguments, before)


# -- GC


def test_garbage_is_what_no_valid_attachment_holds(host: Host) -> None:
    host.files.write("/run/flannel/subnet.env", DUAL)
    for name in "ab":
        flannel.add(host, FLANNEL, a_pod(host, name))
    valid = frozenset({("b", "eth0")})
    for _ in range(2):
        flannel.collect(host, FLANNEL, valid)
        assert files(host) == ["10.244.1.3", "fd00:10:244:1::3"]
        assert host.files.entries("/var/lib/cni/flannel") == ["b"]
    bridge.collect(host, FLANNEL, frozenset())
    assert files(host) == []


def test_garbage_of_host_ports(host: Host) -> None:
    map_both(host, a_pod(host, "a"))
    portmap.collect(host, PORTS, frozenset({("a", "eth0")}))
    assert any("CNI-DN-" in rule for rule in nat_rules(host))
    for _ in range(2):
        portmap.collect(host, PORTS, frozenset())
        assert not any("CNI-DN-" in rule for rule in [*nat_rules(host), *nat_rules6(host)])


# -- kept results


def test_a_result_is_read_as_it_was_kept(host: Host, pod: tuple[Arguments, Result]) -> None:
    arguments, result = pod
    results.keep(host, "cbr0", arguments, result)
    assert results.kept(host, "cbr0", arguments) == result
    [known] = results.attachments(host, "cbr0")
    assert (known.container, known.namespace, known.interface) == ("a", "a", "eth0")
    assert results.attachments(host, "another") == []
    for _ in range(2):
        results.forget(host, "cbr0", arguments)
        assert results.kept(host, "cbr0", arguments) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"result": {}}', b'{"result": {"ips": 7}}', b"\xff"])
def test_what_is_no_result_is_none(host: Host, data: bytes) -> None:
    host.files.write("/var/lib/cni/results/cbr0-a-eth0", data)
    assert results.kept(host, "cbr0", Arguments("a", "a", "eth0", "")) is None
    assert results.attachments(host, "cbr0") == []
