"""What an operator asks of machines: shells and traced exchanges, on a whole simulated cluster."""

import asyncio

import pytest

from podwire.proto import subjects
from podwire.proto.kube import resources
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.flights import flights
from podwire.services.chassis.bus import pieces

from .conftest import Booted
from .operating import ask, shell


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("hostname", "node-1\n"),
        ("ip -br link show type vxlan", "flannel.1"),
        ("cat /run/flannel/subnet.env | grep MTU", "FLANNEL_MTU=1450\n"),
        ("sudo iptables -t nat -L KUBE-SERVICES -n | grep kube-dns:dns-tcp", "KUBE-SVC-ERIFXISQEP7F7OF4  tcp  --"),
        ("ip route | grep flannel | wc -l", "2\n"),
        ("sudo ipvsadm -A -t 10.96.0.7:80 -s rr; sudo ipvsadm -Ln | tail -1", "TCP  10.96.0.7:80 rr\n"),
        (
            "sudo ipset create S hash:ip,port; sudo ipset add S 10.0.0.1,sctp:7; ipset save | tail -1",
            "add S 10.0.0.1,sctp:7",
        ),
        ("ip -br addr show lo", "127.0.0.1/8"),
        ("nc -z -w 2 127.0.0.1 1; echo $?", "1\n"),
    ],
)
def test_a_command_line_on_a_machine(booted: Booted, command: str, expected: str) -> None:
    output, code = booted.cluster.run(shell(booted, "node-1", command))
    assert (expected in output, code) == (True, 0), output


def test_a_command_that_is_not_there(booted: Booted) -> None:
    assert booted.cluster.run(shell(booted, "node-1", "nonsense")) == ("sh: nonsense: not found\n", 127)


@pytest.mark.parametrize(
    ("call", "success", "text"),
    [
        ({"kind": "icmp", "address": "172.18.0.2"}, True, "echo reply from 172.18.0.2"),
        ({"kind": "icmp", "address": "172.18.0.99"}, False, "ICMP type 3 code 1"),
        ({"kind": "tcp", "address": "10.96.0.10", "port": 53}, True, "connected"),
        ({"kind": "tcp", "address": "172.18.0.2", "port": 81}, False, "Connection refused"),
        ({"kind": "tcp", "address": "10.250.0.1", "port": 80, "timeout": 1.0}, False, "Network is unreachable"),
        ({"kind": "http", "address": "10.96.0.10", "port": 53, "timeout": 1.0}, False, ""),
    ],
)
def test_a_traced_exchange(booted: Booted, call: dict[str, object], success: bool, text: str) -> None:
    answer = booted.cluster.run(ask(booted, "node-1", messages.Connect(trace="t", **call)))  # type: ignore[arg-type]
    assert isinstance(answer, messages.Outcome)
    assert answer.success is success
    assert text in answer.text


def test_a_request_crosses_the_tunnel_and_its_reply_comes_back(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> list[Hop]:
        await booted.scenario.apply_workload()
        pods = await cluster.api.list(resources.PODS, "default")
        first, second = sorted(pods, key=lambda pod: str(pod["spec"]["nodeName"]))
        call = messages.Connect(
            trace="crossing",
            namespace="default",
            pod=first["metadata"]["name"],
            kind="http",
            address=second["status"]["podIP"],
            port=80,
        )
        answer = await ask(booted, first["spec"]["nodeName"], call)
        assert isinstance(answer, messages.Outcome) and answer.text == "HTTP 200 OK, 615 bytes"
        await asyncio.sleep(0.1)
        found = await pieces.request(cluster.operator, subjects.TRACES, b"crossing", 5)
        hops: list[Hop] = codec.decode_union(list[Hop], found)
        return hops

    request, reply, *_ = flights(cluster.run(main()))
    assert [hop.node for hop in request.hops] == sorted(hop.node for hop in request.hops)
    [outer] = [hop for hop in request.hops if hop.kind == "encapsulate"]
    assert (outer.vni, outer.bytes_added, outer.device) == (1, 50, "flannel.1")
    kinds = [hop.kind for hop in request.hops]
    assert kinds.index("encapsulate") < kinds.index("decapsulate") < kinds.index("socket")
    assert reply.is_reply and reply.hops[-1].detail == "tcp SYN_SENT"
    assert all(flight.died is None for flight in (request, reply))
