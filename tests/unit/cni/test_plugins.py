"""The CNI plugins on a machine: what ADD makes, what DEL leaves, what is refused; state is files of the machine."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from podwire.proto.messages import kernel as k
from podwire.services.chassis.chance import RandomStream
from podwire.services.node.cni import bridge, flannel, host_local, portmap
from podwire.services.node.cni.plugin import Address, Arguments, CniError, Host, Result
from podwire.services.node.files import Files
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.shell import KernelShell

SUBNET = b"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
FLANNEL = {"name": "cbr0", "type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}}


class Shell:
    """A kernel without a loop: time stands still and nothing is sent."""

    def __init__(self) -> None:
        self.kernel = Kernel("node-1", "boot", RandomStream(1))

    @contextmanager
    def turn(self) -> Iterator[Kernel]:
        yield self.kernel


@pytest.fixture
def host() -> Host:
    files = Files({"/run/flannel/subnet.env": SUBNET})
    return Host(files, cast(KernelShell, Shell()), RandomStream(2))


def a_pod(host: Host, name: str) -> Arguments:
    host.program(k.NetnsAdd(netns=name))
    return Arguments(name, name, "eth0", f"default/{name}")


def routes(host: Host, netns: str) -> list[tuple[str, str]]:
    found: list[k.Route] = host.program(k.Read(netns=netns, kind="routes"))
    return [(route.destination, route.via) for route in found if route.table == "main"]


def test_add_makes_a_pod_network(host: Host) -> None:
    pod = a_pod(host, "a")
    result = flannel.add(host, FLANNEL, pod)
    assert [address.address for address in result.addresses] == ["10.244.1.2/24"]
    links, inside = host.links(), host.links("a")
    assert (links["cni0"].kind, links["cni0"].mtu, links["cni0"].up) == ("bridge", 1450, True)
    [veth] = [link for link in links.values() if link.kind == "veth"]
    assert (veth.master, veth.hairpin, veth.peer, veth.up) == ("cni0", True, "eth0", True)
    assert (inside["eth0"].mtu, inside["eth0"].up) == (1450, True)
    assert ("0.0.0.0/0", "10.244.1.1") in routes(host, "a")
    assert ("10.244.0.0/16", "10.244.1.1") in routes(host, "a")
    addresses: list[k.LinkAddress] = host.program(k.Read(kind="addresses"))
    assert ("cni0", "10.244.1.1/24") in [(entry.device, entry.address) for entry in addresses]


def test_a_second_pod_shares_the_bridge(host: Host) -> None:
    first = flannel.add(host, FLANNEL, a_pod(host, "a"))
    second = flannel.add(host, FLANNEL, a_pod(host, "b"))
    assert first.addresses != second.addresses
    assert len([link for link in host.links().values() if link.master == "cni0"]) == 2


def test_the_gateway_keeps_its_mac_as_pods_come_and_go(host: Host) -> None:
    flannel.add(host, FLANNEL, a_pod(host, "first"))
    before = host.links()["cni0"].address
    for number in range(8):
        flannel.add(host, FLANNEL, a_pod(host, f"pod{number}"))
    flannel.delete(host, FLANNEL, Arguments("first", "first", "eth0", "p"))
    assert host.links()["cni0"].address == before


def test_state_is_files_of_the_machine(host: Host) -> None:
    flannel.add(host, FLANNEL, a_pod(host, "a"))
    assert host.files.read("/var/lib/cni/networks/cbr0/10.244.1.2") == b"a\r\neth0"
    assert host.files.read("/var/lib/cni/networks/cbr0/last_reserved_ip.0") == b"10.244.1.2"
    saved = json.loads(host.files.read("/var/lib/cni/flannel/a") or b"")
    assert (saved["type"], saved["ipam"]["ranges"]) == ("bridge", [[{"subnet": "10.244.1.0/24"}]])


def test_del_frees_everything_and_may_be_repeated(host: Host) -> None:
    pod = a_pod(host, "a")
    flannel.add(host, FLANNEL, pod)
    for _ in range(3):
        flannel.delete(host, FLANNEL, pod)
    assert host.files.read("/var/lib/cni/networks/cbr0/10.244.1.2") is None
    assert [link.name for link in host.links().values() if link.kind == "veth"] == []
    assert list(host.links("a")) == ["lo"]


def test_an_address_just_freed_is_not_given_next(host: Host) -> None:
    for name, expected in (("a", "10.244.1.2/24"), ("b", "10.244.1.3/24"), ("c", "10.244.1.4/24")):
        pod = a_pod(host, name)
        assert flannel.add(host, FLANNEL, pod).addresses[0].address == expected
        flannel.delete(host, FLANNEL, pod)


def test_the_plugin_needs_what_flanneld_wrote(host: Host) -> None:
    host.files.remove("/run/flannel/subnet.env")
    with pytest.raises(CniError, match=r"open /run/flannel/subnet\.env: no such file or directory"):
        flannel.add(host, FLANNEL, a_pod(host, "a"))


def test_a_network_without_addresses_left_says_so_and_leaves_nothing(host: Host) -> None:
    host.files.write("/run/flannel/subnet.env", SUBNET.replace(b"10.244.1.1/24", b"10.244.1.1/30"))
    flannel.add(host, FLANNEL, a_pod(host, "a"))
    with pytest.raises(CniError, match=r"no IP addresses available in range set: 10\.244\.1\.1-10\.244\.1\.2"):
        flannel.add(host, FLANNEL, a_pod(host, "b"))
    assert list(host.links("b")) == ["lo"]


IPAM: dict[str, Any] = {"name": "net", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}


def test_the_same_container_gets_the_same_address_again(host: Host) -> None:
    pod = Arguments("a", "a", "eth0", "p")
    assert host_local.add(host, IPAM, pod) == host_local.add(host, IPAM, pod)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"name": "net", "ipam": {"type": "dhcp"}}, "only the host-local IPAM"),
        ({"name": "net", "ipam": {"type": "host-local", "ranges": []}}, "invalid range set"),
        ({"name": "net", "ipam": {"type": "host-local", "ranges": [[{"subnet": "x"}]]}}, "invalid range set"),
    ],
)
def test_a_wrong_configuration_is_refused(host: Host, configuration: dict[str, Any], message: str) -> None:
    with pytest.raises(CniError, match=message):
        bridge.add(host, configuration, a_pod(host, "a"))


PORTS = [
    {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
    {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "172.18.0.3"},
]
PORTMAP = {"name": "cbr0", "type": "portmap", "runtimeConfig": {"portMappings": PORTS}}
CHAIN = "CNI-DN-" + hashlib.sha512(b"cbr0a").hexdigest()[:21]


def nat_rules(host: Host) -> list[str]:
    text: str = host.program(k.Read(kind="iptables-save", table="nat"))
    return [line.partition("] ")[2] for line in text.splitlines() if line.startswith("[")]


def map_ports(host: Host) -> Arguments:
    pod = a_pod(host, "a")
    portmap.add(host, PORTMAP, pod, flannel.add(host, FLANNEL, pod))
    return pod


def test_host_ports_become_rules(host: Host) -> None:
    map_ports(host)
    mark = "-j CNI-HOSTPORT-SETMARK"
    udp = f"-A {CHAIN} -s {{}} -d 172.18.0.3/32 -p udp -m udp --dport 53 {mark}"
    assert nat_rules(host) == [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
        f"-A {CHAIN} -s 10.244.1.0/24 -p tcp -m tcp --dport 8080 {mark}",
        f"-A {CHAIN} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 {mark}",
        f"-A {CHAIN} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.2:80",
        udp.format("10.244.1.0/24"),
        udp.format("127.0.0.1/32"),
        f"-A {CHAIN} -d 172.18.0.3/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.1.2:5353",
        f'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"a\\"" '
        f"-m multiport --dports 8080 -j {CHAIN}",
        f'-A CNI-HOSTPORT-DNAT -p udp -m comment --comment "dnat name: \\"cbr0\\" id: \\"a\\"" '
        f"-m multiport --dports 53 -j {CHAIN}",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
    ]


def test_a_host_port_s_rules_go_with_its_pod(host: Host) -> None:
    pod = map_ports(host)
    others = [rule for rule in nat_rules(host) if "CNI-DN-" not in rule]
    portmap.add(host, PORTMAP, pod, Result((Address("10.244.1.2/24"),)))
    for _ in range(2):
        portmap.delete(host, PORTMAP, pod)
        assert nat_rules(host) == others


@pytest.mark.parametrize("entry", [{"hostPort": "x", "containerPort": 1}, {"hostPort": 1}, "x"])
def test_port_mappings_that_are_none_are_refused(host: Host, entry: Any) -> None:
    wanted = {"name": "n", "type": "portmap", "runtimeConfig": {"portMappings": [entry]}}
    with pytest.raises(CniError, match="Invalid portMappings"):
        portmap.add(host, wanted, Arguments("a", "a", "eth0", "p"), Result())
