"""ip and bridge on a machine: what they change, what they refuse and how, JSON in iproute2's own shape."""

import json

import pytest
from surroundings import Result, run_on_machine

from podwire.services.node.programs.ip.json_text import render


def machine(script: str) -> Result:
    return run_on_machine(script)


@pytest.mark.parametrize(
    ("script", "output"),
    [
        (
            "ip link add vx0 type vxlan id 5 dstport 4789 local 10.244.1.1 dev cni0 nolearning"
            " && ip -d link show vx0 | sed -n 3p | cut -d' ' -f5-18",
            "vxlan id 5 local 10.244.1.1 dev cni0 srcport 0 0 dstport 4789 nolearning ttl",
        ),
        (
            "ip link add vx0 type vxlan id 5 remote 10.9.0.9 noudpcsum && ip -j -d link show vx0",
            '"info_data":{"id":5,"remote":"10.9.0.9","port_range":{"low":0,"high":0},"port":8472,"learning":true',
        ),
        (
            "ip link add g0 type geneve id 7 remote 10.9.0.9 && ip link show type geneve",
            "g0: <BROADCAST,MULTICAST> mtu",
        ),
        (
            "ip link add t0 type ipip local 10.244.1.1 remote 10.9.0.9 ttl 9 && ip tunnel show",
            "t0: ip/ip remote 10.9.0.9 local 10.244.1.1 ttl 9\n",
        ),
        (
            "ip tunnel add t0 mode ipip remote 10.9.0.9 local 10.244.1.1 dev cni0 && ip tunnel add t1 mode ip/ip ttl 7"
            " && ip tunnel del t0 && ip tunnel add t2 remote any local 10.244.1.1 mode ipip dev cni0 && ip tunnel",
            "t1: ip/ip remote any local any ttl 7\nt2: ip/ip remote any local 10.244.1.1 dev cni0 ttl inherit\n",
        ),
        ("ip tunnel show nothing; ip -j tunnel", "[]\n"),
        (
            "ip route add 10.9.0.0/16 nexthop dev cni0 weight 2 nexthop via 10.244.1.9"
            " && ip route show root 10.9.0.0/16",
            "10.9.0.0/16 \n\tnexthop dev cni0 weight 2 \n\tnexthop via 10.244.1.9 dev cni0 weight 1 \n",
        ),
        (
            "ip netns add a && ip link add v0 type veth peer name v1 netns a && ip -n a link set v1 up"
            " && ip netns exec a ip -br link show v1",
            "v1@if",
        ),
        ("ip netns add a && ip netns add b && ip netns del a && ip -j netns | tr -d ' '", '"name":"b"'),
        ("ip link add type dummy && ip -br link show dummy0", "dummy0           DOWN"),
        ("ip addr add 10.5.0.1/24 dev cni0 && ip addr flush dev cni0 && ip -j -4 addr show cni0", "[{}]\n"),
        (
            "ip route add 10.9.0.0/16 dev cni0 && ip route add 10.10.0.0/16 dev cni0 proto static"
            " && ip route flush proto static && ip route show root 10.8.0.0/13",
            "10.9.0.0/16 dev cni0 scope link \n",
        ),
        ("ip route append 10.9.0.0/16 dev cni0 && ip route show 10.9.0.0/16", "10.9.0.0/16 dev cni0 scope link \n"),
        (
            "ip neigh add 10.244.1.77 lladdr 02:00:00:00:00:77 dev cni0 && ip neigh flush dev cni0"
            " && ip neigh show nud permanent && ip neigh flush dev cni0 nud permanent && ip neigh show nud permanent",
            "10.244.1.77 dev cni0 lladdr 02:00:00:00:00:77 PERMANENT \n",
        ),
        ("ip rule add from 10.1.0.0/16 table 7 && ip rule flush && ip rule", "0:\tfrom all lookup local\n"),
        (
            "ip link add vx0 type vxlan id 5 && bridge fdb add 02:00:00:00:00:09 dev vx0 dst 10.9.0.9"
            " && bridge -j fdb show dev vx0",
            '[{"mac":"02:00:00:00:00:09","dst":"10.9.0.9","flags":["self"],"state":"permanent"}]\n',
        ),
        (
            "ip link add vx0 type vxlan id 5 && bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.9"
            " && bridge fdb del 00:00:00:00:00:00 dev vx0 && bridge fdb show dev vx0; echo end",
            "end\n",
        ),
        (
            "ip link add b0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master b0"
            " && bridge link set dev v0 hairpin on flood off && bridge -j -d link show dev v0",
            '"hairpin":true,"guard":false,"root_block":false,"fastleave":false,"learning":true,"flood":false',
        ),
        ("bridge vlan show", "port              vlan-id  \n"),
        ("bridge -j vlan", "[]\n"),
    ],
)
def test_what_the_machine_does(script: str, output: str) -> None:
    result = machine(script)
    assert result.err == ""
    assert output in result.out


@pytest.mark.parametrize(
    ("script", "code", "complaint"),
    [
        ("ip link add x type foo", 2, "Error: Unknown device type."),
        ("ip link add x type macvlan", 2, "ip link add type macvlan: not built"),
        ("ip link add x type ipvlan", 2, "ip link add type ipvlan: not built"),
        ("ip link add x type bond", 2, "ip link add type bond: not built"),
        ("ip link add x type vlan id 5", 2, "ip link add type vlan: not built"),
        ("ip link add x type bridge stp_state 1", 1, "ip link add type bridge stp_state 1: not built"),
        ("ip link set cni0 type bridge stp_state 1", 1, "ip link set type bridge stp_state 1: not built"),
        ("bridge vlan add vid 5 dev cni0", 255, "bridge vlan add: not built"),
        ("ip link add", 1, 'Not enough information: "type" argument is required'),
        ("ip link set", 255, 'Not enough information: "dev" argument is required.'),
        ("ip tunnel add t0", 1, "cannot determine tunnel mode (ipip, gre, vti or sit)"),
        ("ip tunnel add t0 mode foo", 255, 'Unknown tunnel mode "foo"'),
        ("ip tunnel add t0 mode gre remote 10.9.0.9", 1, "ip tunnel mode gre: not built"),
        ("ip tunnel add t0 mode ipip remote bad", 1, 'Error: an IP address is expected rather than "bad"'),
        ("ip tunnel add t0 mode ipip ttl 300", 255, 'Error: argument "300" is wrong: invalid TTL'),
        ("ip tunnel add t0 t1 mode ipip", 255, 'Error: either "name" is duplicate, or "t1" is a garbage.'),
        ("ip tunnel add t0 mode ipip dev none", 1, 'Cannot find device "none"'),
        ("ip tunnel add cni0 mode ipip", 1, 'add tunnel "tunl0" failed: File exists'),
        ("ip tunnel del none", 1, 'delete tunnel "none" failed: No such device'),
        ("ip tunnel del cni0", 1, 'delete tunnel "cni0" failed: Operation not supported'),
        ("ip link set cni0 promisc on", 1, "ip link set promisc on: not built"),
        ("ip link add v type vxlan", 2, "Error: Required attributes not provided to perform the operation."),
        ("ip link add v type vxlan id 99999999", 255, 'Error: argument "99999999" is wrong: invalid id'),
        ("ip link add v type vxlan id 1 group 239.0.0.1", 255, 'vxlan: "group" is not built'),
        ("ip link add g type geneve id 1", 1, "geneve: remote link partner not specified"),
        ("ip mroute", 1, "ip mroute: not built"),
        ("ip foo", 1, 'Object "foo" is unknown, try "ip help".'),
        ("ip route flush", 1, '"ip route flush" requires arguments.'),
        ("ip addr flush", 1, "Flush requires arguments."),
        ("ip neigh flush", 1, "Flush requires arguments."),
        ("ip route flush table 99", 2, "Error: ipv4: FIB table does not exist.\nFlush terminated"),
        ("ip netns add a/b", 255, 'Invalid netns name "a/b"'),
        ("ip netns del no", 1, 'Cannot remove namespace file "/run/netns/no": No such file or directory'),
        ("ip route change 10.9.0.0/16 dev cni0", 2, "RTNETLINK answers: No such file or directory"),
        ("ip neigh add 10.244.1.9 dev cni0", 2, "RTNETLINK answers: Invalid argument"),
        ("bridge link set dev cni0 hairpin on", 255, "RTNETLINK answers: not a bridge port"),
        ("bridge fdb add 02:00:00:00:00:01 dev lo", 255, "RTNETLINK answers: Operation not supported"),
        ("bridge mdb", 255, "bridge mdb: not built"),
        ("bridge foo", 255, 'Object "foo" is unknown, try "bridge help".'),
    ],
)
def test_refusals(script: str, code: int, complaint: str) -> None:
    result = machine(script)
    assert (result.code, result.err) == (code, complaint + "\n")


def test_pretty_json_breaks_lines_as_iproute2_does() -> None:
    value = [{"a": 1, "flags": ["UP", "X"], "none": [], "in": {"b": None}, "list": [{"c": "d"}, {"c": "e"}]}, {}]
    assert json.loads(render(value, pretty=True)) == value
    assert render([{"a": [], "in": {"b": 1}, "list": [{"c": "d"}, {"c": "e"}]}], pretty=True) == (
        '[ {\n        "a": [ ],\n        "in": {\n            "b": 1\n        },\n        "list": [ {\n'
        '                "c": "d"\n            },{\n                "c": "e"\n            } ]\n    } ]\n'
    )


def monitored(options: str, *changes: str) -> str:
    """What ip monitor tells of some changes, each between two of its looks."""
    steps = " && ".join(f"{change} && sleep 0.1" for change in changes)
    result = machine(f"timeout 5 ip {options} > /tmp/told & sleep 0.2; {steps} && wait; cat /tmp/told")
    assert result.err in ("", "Terminated\n")
    return result.out


def test_monitor_tells_of_links_addresses_routes_neighbours_and_rules_that_come_change_and_go() -> None:
    address = "4: d0    inet 10.7.0.1/24 scope global d0\n       valid_lft forever preferred_lft forever\n"
    routes = [
        "local 10.7.0.1 dev d0 table local proto kernel scope host src 10.7.0.1 \n",
        "10.7.0.0/24 dev d0 proto kernel scope link src 10.7.0.1 \n",
        "broadcast 10.7.0.255 dev d0 table local proto kernel scope link src 10.7.0.1 \n",
    ]
    told = monitored(
        "-4 monitor",
        "ip link add d0 type dummy && ip link set d0 up",
        "ip addr add 10.7.0.1/24 dev d0",
        "ip route add 10.9.0.0/16 via 10.7.0.2",
        "ip neigh add 10.7.0.2 lladdr 02:00:00:00:00:02 dev d0",
        "ip neigh del 10.7.0.2 dev d0",
        "ip route del 10.9.0.0/16",
        "ip rule add from 10.1.0.0/16 table 7",
        "ip addr del 10.7.0.1/24 dev d0",
    )
    index = told.partition(":")[0]
    expected = [
        address.replace("4:", f"{index}:", 1),
        *routes,
        "10.9.0.0/16 via 10.7.0.2 dev d0 \n",
        "10.7.0.2 dev d0 lladdr 02:00:00:00:00:02 PERMANENT \n",
        "Deleted 10.7.0.2 dev d0 lladdr 02:00:00:00:00:02 PERMANENT \n",
        "Deleted 10.9.0.0/16 via 10.7.0.2 dev d0 \n",
        "32765:\tfrom 10.1.0.0/16 lookup 7\n",
        *(f"Deleted {route}" for route in routes),
        f"Deleted {address.replace('4:', f'{index}:', 1)}",
    ]
    assert sorted(told.splitlines()) == sorted("".join(expected).splitlines())


def test_monitor_tells_of_a_link_s_state_with_labels_and_of_one_device() -> None:
    changes = ("ip link add d0 type dummy", "ip link set d0 up", "ip link del d0")
    told = monitored("monitor label link", *changes)
    first = "d0: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN group default \n"
    assert told.startswith("[LINK]") and first in told
    assert "d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc noqueue state UNKNOWN group default \n" in told
    assert "[LINK]Deleted " in told
    assert monitored("monitor dev cni0 link", *changes) == ""


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ("foo", 255, 'Argument "foo" is unknown, try "ip monitor help".'),
        ("netconf", 1, "ip monitor netconf: not built"),
        ("dev none", 1, 'Cannot find device "none"'),
    ],
)
def test_monitor_refuses(words: str, code: int, complaint: str) -> None:
    result = machine(f"timeout 5 ip monitor {words}")
    assert (result.code, result.err.strip()) == (code, complaint)
