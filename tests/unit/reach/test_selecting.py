"""Who probes and what is probed, from the API's objects."""

from typing import Any

import pytest

from podwire.scripts.reach.matrix import Protocol
from podwire.scripts.reach.selecting import (
    living,
    node_origin,
    node_targets,
    outside_origin,
    outside_targets,
    pod_origin,
    pod_targets,
    selected,
    service_targets,
)

Json = dict[str, Any]
DECLARED = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}]


def pod(name: str = "web", address: str = "10.244.1.2", **spec: Any) -> Json:
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {"app": name}},
        "spec": {"nodeName": "node-1", "containers": [{"ports": DECLARED}], **spec},
        "status": {"podIP": address, "podIPs": [{"ip": address}]} if address else {"phase": "Pending"},
    }


def service(address: str) -> Json:
    ports = [{"port": 80, "targetPort": 8080}, {"port": 53, "protocol": "UDP"}]
    return {"metadata": {"namespace": "default", "name": "web"}, "spec": {"clusterIP": address, "ports": ports}}


@pytest.mark.parametrize(
    ("ports", "protocol", "wanted"),
    [
        ([], None, ["tcp/80", "udp/53", "tcp/53"]),
        ([], "udp", ["udp/53"]),
        ([], "sctp", []),
        ([9, 10, 9], None, ["tcp/9", "tcp/10"]),
        ([9], "sctp", ["sctp/9"]),
    ],
)
def test_declared_ports_unless_others_are_asked_for(
    ports: list[int], protocol: Protocol | None, wanted: list[str]
) -> None:
    assert [str(target) for target in pod_targets(pod(), ports, protocol)] == [f"default/web {port}" for port in wanted]


def test_sidecars_declare_ports_and_init_containers_that_end_do_not() -> None:
    inits = [{"restartPolicy": "Always", "ports": [{"containerPort": 1}]}, {"ports": [{"containerPort": 2}]}]
    assert [target.port for target in pod_targets(pod(initContainers=inits), [], None)] == [80, 53, 53, 1]


def test_a_port_declared_twice_is_one_target() -> None:
    twice = [{"ports": DECLARED}, {"ports": DECLARED}]
    assert len(pod_targets(pod(containers=twice), [], None)) == 3


def test_a_service_is_probed_at_its_own_ports() -> None:
    assert [str(target) for target in service_targets(service("10.96.0.5"), [], None)] == [
        "svc/default/web tcp/80",
        "svc/default/web udp/53",
    ]


@pytest.mark.parametrize("address", ["None", ""])
def test_a_service_without_a_cluster_ip_is_no_target(address: str) -> None:
    assert service_targets(service(address), [], None) == []


def test_sources() -> None:
    ordinary, host = pod_origin(pod()), pod_origin(pod(hostNetwork=True))
    assert (ordinary.name, ordinary.source.node, ordinary.source.pod) == ("default/web", "node-1", "web")
    assert (host.name, host.source.node, host.source.pod) == ("default/web", "node-1", "")
    assert not pod_origin(pod(address="")).has_address
    assert node_origin({"metadata": {"name": "node-2"}}).source.node == "node-2"
    assert outside_origin(("172.18.255.1",)).source.is_external


def test_pods_that_have_ended_are_nobody() -> None:
    ended = {**pod("job"), "status": {"phase": "Succeeded"}}
    assert living([ended, pod()]) == [pod()]


@pytest.mark.parametrize(
    ("selector", "names"), [("", ["a", "b"]), ("app=a", ["a"]), ("app in (a,b),app!=a", ["b"]), ("tier", [])]
)
def test_selectors_are_kubectls(selector: str, names: list[str]) -> None:
    assert [each["metadata"]["name"] for each in selected([pod("a"), pod("b")], selector)] == names


def machine(name: str, address: str) -> Json:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name}, "status": {"addresses": addresses}}


def test_machines_and_the_host_outside_are_probed_on_ports_that_are_asked_for() -> None:
    node = machine("node-1", "172.18.0.3")
    assert [(str(each), each.address) for each in node_targets(node, [22, 80], None)] == [
        ("node-1 tcp/22", "172.18.0.3"),
        ("node-1 tcp/80", "172.18.0.3"),
    ]
    assert [(str(each), each.address) for each in outside_targets([node], [53], "udp")] == [
        ("external udp/53", "172.18.0.1")
    ]
    assert node_targets(node, [], None) == []
    (sixth,) = outside_targets([machine("node-1", "fc00:f853:ccd:e793::3")], [80], None)
    assert sixth.address == "fc00:f853:ccd:e793::1"
