"""The cells of `kubectl get`, as upstream's printers make them."""

from typing import Any

import pytest

from podwire.services.apiserver.core.kinds import BUILT_IN
from podwire.services.apiserver.core.printers import cluster, network, pods, workloads

NOW = 1_700_000_060 * 1_000_000_000
BORN = "2023-11-14T22:13:20Z"


def running(ready: bool = True, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": "a", "ready": ready, "restartCount": restarts, "state": {"running": {}}, **more}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "a", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **more}


def ended(reason: str = "", code: int = 0, **more: Any) -> dict[str, Any]:
    state = {"terminated": {"reason": reason, "exitCode": code}}
    return {"name": "a", "ready": False, "restartCount": 0, "state": state, **more}


def pod(status: dict[str, Any], going: bool = False, init: int = 0, containers: int = 1) -> dict[str, Any]:
    meta = {"name": "p", "creationTimestamp": BORN} | ({"deletionTimestamp": BORN} if going else {})
    spec = {
        "containers": [{"name": "a"}] * containers,
        "initContainers": [{"name": f"i{number}"} for number in range(init)],
    }
    return {"metadata": meta, "spec": spec, "status": status}


RESTARTED = {"lastState": {"terminated": {"finishedAt": "2023-11-14T22:14:15Z"}}}
STATUSES = [
    ({"phase": "Pending"}, {}, ("0/1", "Pending", "0")),
    ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, {}, ("0/1", "ContainerCreating", "0")),
    ({"phase": "Running", "containerStatuses": [running()]}, {}, ("1/1", "Running", "0")),
    (
        {"phase": "Running", "containerStatuses": [running(restarts=1, **RESTARTED)]},
        {},
        ("1/1", "Running", "1 (5s ago)"),
    ),
    ({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}, {}, ("0/1", "CrashLoopBackOff", "0")),
    ({"phase": "Succeeded", "containerStatuses": [ended("Completed")]}, {}, ("0/1", "Completed", "0")),
    ({"phase": "Failed", "containerStatuses": [ended("", 3)]}, {}, ("0/1", "ExitCode:3", "0")),
    ({"phase": "Failed", "reason": "Evicted"}, {}, ("0/1", "Evicted", "0")),
    ({"phase": "Running", "containerStatuses": [running()]}, {"going": True}, ("1/1", "Terminating", "0")),
    ({"phase": "Succeeded", "containerStatuses": [ended("Completed")]}, {"going": True}, ("0/1", "Completed", "0")),
    ({"phase": "Running", "reason": "NodeLost"}, {"going": True}, ("0/1", "Unknown", "0")),
    (
        {"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing")]},
        {"init": 2},
        ("0/1", "Init:0/2", "0"),
    ),
    ({"phase": "Pending", "initContainerStatuses": [ended("Error", 1)]}, {"init": 1}, ("0/1", "Init:Error", "0")),
    (
        {"phase": "Running", "containerStatuses": [running(), ended("Completed")]},
        {"containers": 2},
        ("1/2", "NotReady", "0"),
    ),
    (
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
        {},
        ("0/1", "SchedulingGated", "0"),
    ),
]


@pytest.mark.parametrize(("status", "more", "cells"), STATUSES)
def test_pods(status: dict[str, Any], more: dict[str, Any], cells: tuple[str, str, str]) -> None:
    shown = pods.POD.cells(pod(status, **more), NOW)
    assert tuple(shown[1:4]) == cells
    assert shown[4:] == ["60s", "<none>", "<none>", "<none>", "<none>"]


META = {"name": "x", "creationTimestamp": BORN}
CELLS = [
    (
        network.SERVICE,
        {
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.9"],
                "ports": [{"port": 80, "nodePort": 30080}],
                "selector": {"b": "2", "a": "1"},
            }
        },
        ["x", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP", "60s", "a=1,b=2"],
    ),
    (
        network.SERVICE,
        {"spec": {"type": "ExternalName", "externalName": "e.com"}},
        ["x", "ExternalName", "<none>", "e.com", "<none>", "60s", "<none>"],
    ),
    (
        network.SERVICE,
        {"spec": {"type": "LoadBalancer", "clusterIPs": ["1.1.1.1"]}},
        ["x", "LoadBalancer", "1.1.1.1", "<pending>", "<none>", "60s", "<none>"],
    ),
    (network.ENDPOINTS, {}, ["x", "<none>", "60s"]),
    (
        network.ENDPOINTS,
        {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)], "ports": [{"port": 80}]}]},
        ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...", "60s"],
    ),
    (network.ENDPOINT_SLICE, {"addressType": "IPv4", "endpoints": []}, ["x", "IPv4", "<unset>", "<unset>", "60s"]),
    (
        network.ENDPOINT_SLICE,
        {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.0.0.1"]}]},
        ["x", "IPv4", "80", "10.0.0.1", "60s"],
    ),
    (
        network.INGRESS,
        {
            "spec": {"ingressClassName": "nginx", "rules": [{"host": "api.example.com"}], "tls": [{}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "34.56.78.90"}]}},
        },
        ["x", "nginx", "api.example.com", "34.56.78.90", "80, 443", "60s"],
    ),
    (network.INGRESS, {"spec": {}}, ["x", "<none>", "*", "", "80", "60s"]),
    (
        network.NETWORK_POLICY,
        {"spec": {"podSelector": {"matchLabels": {"app": "backend"}}}},
        ["x", "app=backend", "60s"],
    ),
    (network.NETWORK_POLICY, {"spec": {"podSelector": {}}}, ["x", "<none>", "60s"]),
    (
        cluster.NODE,
        {
            "spec": {"unschedulable": True},
            "status": {"conditions": [{"type": "Ready", "status": "False"}], "nodeInfo": {"kubeletVersion": "v1.33.0"}},
        },
        [
            "x",
            "NotReady,SchedulingDisabled",
            "<none>",
            "60s",
            "v1.33.0",
            "<none>",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>",
        ],
    ),
    (cluster.CONFIG_MAP, {"data": {"a": "1"}, "binaryData": {"b": "1"}}, ["x", "2", "60s"]),
    (cluster.LEASE, {"spec": {"holderIdentity": "node-1"}}, ["x", "node-1", "60s"]),
    (
        cluster.EVENT,
        {
            "type": "Normal",
            "reason": "Scheduled",
            "message": " hi ",
            "involvedObject": {"kind": "Pod", "name": "p"},
            "lastTimestamp": BORN,
            "source": {"component": "c", "host": "h"},
        },
        ["60s", "Normal", "Scheduled", "pod/p", "", "c, h", "hi", "<unknown>", 1, "x"],
    ),
    (
        workloads.DAEMON_SET,
        {
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
            },
            "status": {"desiredNumberScheduled": 3, "numberReady": 2},
        },
        ["x", 3, 0, 2, 0, 0, "<none>", "60s", "c", "i", "a=b"],
    ),
    (
        workloads.DEPLOYMENT,
        {"spec": {"replicas": 2}, "status": {"readyReplicas": 1}},
        ["x", "1/2", 0, 0, "60s", "", "", "<none>"],
    ),
]


@pytest.mark.parametrize(("printer", "value", "cells"), CELLS)
def test_other_kinds(printer: Any, value: dict[str, Any], cells: list[Any]) -> None:
    assert printer.cells({"metadata": META, **value}, NOW) == cells


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: f"{kind.resource}.{kind.group}")
def test_a_bare_object_of_any_kind_prints_one_cell_a_column(kind: Any) -> None:
    assert len(kind.printer.cells({"metadata": META}, NOW)) == len(kind.printer.columns)
