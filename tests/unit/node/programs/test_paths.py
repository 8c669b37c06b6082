"""traceroute and tracepath from a pod over the machine to another network, whose link takes 1,400 bytes."""

import re

import pytest
from surroundings import run_on_machine

FAR = (
    "ip netns add far; ip link add v0 mtu 1400 up type veth peer name v1 netns far; ip addr add 10.9.0.1/24 dev v0;"
    "ip -n far link set lo up; ip -n far link set v1 up mtu 1400; ip -n far addr add 10.9.0.2/24 dev v1;"
    "ip -n far route add default via 10.9.0.1; ip netns exec client "
)
TIME = re.compile(r" +\d+\.\d{3} ?ms")


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("traceroute -n -q 2 10.9.0.2", [" 1  10.244.1.1 T T", " 2  10.9.0.2 T T"]),
        ("traceroute -n -I 10.9.0.2", [" 1  10.244.1.1 T T T", " 2  10.9.0.2 T T T"]),
        ("traceroute -q1 10.9.0.2", [" 1  10.244.1.1 (10.244.1.1) T", " 2  10.9.0.2 (10.9.0.2) T"]),
        ("traceroute -n -f 2 -q1 10.9.0.2", [" 2  10.9.0.2 T"]),
        ("traceroute -n -m 1 -q1 10.9.0.2", [" 1  10.244.1.1 T"]),
        ("traceroute -n -q1 10.9.0.77", [" 1  10.244.1.1 T", " 2  10.244.1.1 T !H"]),
        ("traceroute -n -q1 10.244.1.3", [" 1  10.244.1.3 T"]),
    ],
)
def test_traceroute(command: str, lines: list[str]) -> None:
    result = run_on_machine(FAR + command)
    assert result.err == ""
    told = [TIME.sub(" T", line) for line in result.out.splitlines()[1:]]
    assert [line.rstrip() for line in told] == lines


def test_tracepath_finds_the_smallest_link() -> None:
    result = run_on_machine(FAR + "tracepath -n 10.9.0.2")
    told = [TIME.sub(" T", line) for line in result.out.splitlines()]
    assert told == [
        " 1?: [LOCALHOST]                                         pmtu 1450",
        " 1:  10.244.1.1 T ",
        " 2:  10.244.1.1 T pmtu 1400",
        " 2:  10.9.0.2 T reached",
        "     Resume: pmtu 1400 hops 2 back 2 ",
    ]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("traceroute", "missing"),
        ("traceroute -q 99 10.0.0.1", "no more than 10 probes per hop"),
        ("traceroute -m 300 10.0.0.1", "max hops cannot be more than 255"),
        ("traceroute -w x 10.0.0.1", "could not convert"),
        ("tracepath", "one host is needed"),
        ("tracepath -l 10 10.0.0.1", "bad hops, port or length"),
    ],
)
def test_refusals(command: str, complaint: str) -> None:
    result = run_on_machine(command)
    assert result.code != 0 and complaint in result.err


V6 = (
    "sysctl -w net.ipv6.conf.all.forwarding=1 >/dev/null; ip addr add fd00:1::1/64 dev cni0;"
    "ip -n server addr add fd00:1::3/64 dev eth0; ip -n client addr add fd00:1::2/64 dev eth0;"
    "ip -n client -6 route add default via fd00:1::1; ip netns exec client "
)


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            "ping -c1 fd00:1::3",
            ["PING fd00:1::3(fd00:1::3) 56 data bytes", "64 bytes from fd00:1::3: icmp_seq=1 ttl=64 time="],
        ),
        (
            "ping6 -c1 fd00:9::9",
            ["PING fd00:9::9(fd00:9::9) 56 data bytes", "From fd00:1::1 icmp_seq=1 Destination unreachable: No route"],
        ),
        (
            "traceroute -n -q1 fd00:1::3",
            ["traceroute to fd00:1::3 (fd00:1::3), 30 hops max, 60 byte packets", " 1  fd00:1::3  "],
        ),
    ],
)
def test_ipv6(command: str, lines: list[str]) -> None:
    told = run_on_machine(V6 + command).out.splitlines()
    assert [line.startswith(start) for line, start in zip(told, lines, strict=False)] == [True] * len(lines), told


def test_ping_of_a_family_that_an_address_is_not_of() -> None:
    result = run_on_machine("ping -6 -c1 10.244.1.3")
    assert (result.code, result.err) == (2, "ping: 10.244.1.3: Address family for hostname not supported\n")
