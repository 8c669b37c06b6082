"""Which ports of Services are reached from outside, and where a client enters."""

from typing import Any

from podwire.proto.kube.network import Node, Service
from podwire.proto.messages import codec
from podwire.services.node.outside.exposures import entrances, exposures


def service(*addresses: str, **spec: Any) -> Service:
    value = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}},
    }
    return codec.decode(Service, codec.encode(value))


def node(name: str, address: str, ready: str = "True") -> Node:
    conditions = [{"type": "Ready", "status": ready}]
    status = {"addresses": [{"type": "InternalIP", "address": address}], "conditions": conditions}
    return codec.decode(Node, codec.encode({"metadata": {"name": name}, "status": status}))


def test_each_address_of_a_balancer_and_each_node_port_is_one() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]
    found = exposures([service("172.18.200.1", "fc00::c8:1", ports=ports)])
    assert [str(each) for each in found] == [
        "default/web:http NodePort:30080/TCP",
        "default/web:http 172.18.200.1:80/TCP",
        "default/web:http [fc00::c8:1]:80/TCP",
    ]


def test_sctp_and_cluster_ips_are_not_reached() -> None:
    ports = [{"name": "sctp", "port": 80, "protocol": "SCTP", "nodePort": 30080}]
    assert exposures([service("172.18.200.1", ports=ports), service()]) == []


def test_a_client_enters_at_the_balancer_or_at_a_ready_machine() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]
    made = service("fc00::c8:1", ports=ports)
    nodes = [node("b", "172.18.0.4"), node("a", "172.18.0.3"), node("c", "172.18.0.5", "Unknown")]
    by_node_port, by_balancer = exposures([made])
    assert entrances(by_node_port, made, [], nodes) == ["172.18.0.3", "172.18.0.4"]
    assert entrances(by_balancer, made, [], nodes) == ["fc00::c8:1"]
    local = service("fc00::c8:1", ports=ports, externalTrafficPolicy="Local")
    assert entrances(by_node_port, local, [], nodes) == []
