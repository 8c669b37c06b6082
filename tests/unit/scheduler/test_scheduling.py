"""The scheduler: which node, or why none, in Kubernetes' own words."""

from typing import Any

import pytest

from podwire.services.chassis.chance import RandomStream
from podwire.services.scheduler.core.choice import choose, is_pending, queue_order
from podwire.services.scheduler.core.resources import requested, thousandths
from podwire.services.scheduler.core.volumes import Storage

HELPLESS = "Preemption is not helpful for scheduling"
VICTIMLESS = "No preemption victims found for incoming pod"


def node(name: str, **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    offered = {"cpu": "2", "memory": "1Gi", "pods": "3", **more.pop("offered", {})}
    return {"metadata": {"name": name, "labels": labels}, "spec": more, "status": {"allocatable": offered}}


def pod(name: str = "p", owner: str = "", cpu: str = "", host_port: int = 0, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    if host_port:
        container["ports"] = [{"hostPort": host_port, "containerPort": host_port, "protocol": "TCP"}]
    meta: dict[str, Any] = {"name": name, "namespace": "default", "uid": name}
    if owner:
        meta["ownerReferences"] = [{"controller": True, "uid": owner}]
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


CONTROL_PLANE = node("cp", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])


def chosen(subject: Any, nodes: list[Any], **present: list[Any]) -> Any:
    return choose(subject, nodes, {name.replace("_", "-"): pods for name, pods in present.items()}, RandomStream(1))


def term(key: str, operator: str, *values: str, field: bool = False) -> dict[str, Any]:
    kind = "matchFields" if field else "matchExpressions"
    terms = [{kind: [{"key": key, "operator": operator, "values": list(values)}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


FITS = [
    ("any node", {}, "a"),
    ("a label", {"nodeSelector": {"disk": "ssd"}}, "b"),
    ("an expression", {"affinity": term("size", "Gt", "5")}, "b"),
    ("a name", {"affinity": term("metadata.name", "In", "a", field=True)}, "a"),
    ("all taints tolerated", {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"role": "cp"}}, "cp"),
]


@pytest.mark.parametrize(("name", "spec", "expected"), FITS)
def test_a_node_that_fits(name: str, spec: dict[str, Any], expected: str) -> None:
    nodes = [
        CONTROL_PLANE | {"metadata": {"name": "cp", "labels": {"role": "cp"}}},
        node("a"),
        node("b", labels={"disk": "ssd", "size": "10"}),
    ]
    busy = {"b": [pod("other")]} if expected == "a" else {}
    assert chosen(pod(**spec), nodes, **busy).node == expected


REASONS = [
    (pod(), [], "no nodes available to schedule pods"),
    (
        pod(nodeSelector={"disk": "ssd"}),
        [CONTROL_PLANE, node("a"), node("b"), node("c")],
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 node(s) didn't match Pod's node affinity/selector. "
        f"preemption: 0/4 nodes are available: 4 {HELPLESS}.",
    ),
    (
        pod(cpu="3"),
        [CONTROL_PLANE, node("a")],
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint "
        "{node-role.kubernetes.io/control-plane: }. preemption: 0/2 nodes are available: "
        f"1 {VICTIMLESS}, 1 {HELPLESS}.",
    ),
    (
        pod(),
        [node("a", unschedulable=True)],
        f"0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 {HELPLESS}.",
    ),
]


@pytest.mark.parametrize(("subject", "nodes", "text"), REASONS)
def test_why_no_node_fits(subject: Any, nodes: list[Any], text: str) -> None:
    assert chosen(subject, nodes)[:2] == ("", text)


def test_ports_and_room_are_those_of_the_pods_present() -> None:
    nodes = [node("a")]
    assert "didn't have free ports" in chosen(pod(host_port=80), nodes, a=[pod("x", host_port=80)]).message
    assert chosen(pod(host_port=81), nodes, a=[pod("x", host_port=80)]).node == "a"
    assert "Insufficient cpu" in chosen(pod(cpu="1500m"), nodes, a=[pod("x", cpu="600m")]).message
    assert "Too many pods" in chosen(pod(), nodes, a=[pod(str(n)) for n in range(3)]).message


def test_pods_of_one_owner_are_spread() -> None:
    nodes = [node(name) for name in ("a", "b", "c")]
    on: dict[str, list[Any]] = {"a": [pod("x"), pod("y")]}
    random = RandomStream(5)
    places = []
    for number in range(3):
        subject = pod(f"p{number}", owner="rs")
        place = choose(subject, nodes, on, random).node
        on.setdefault(place, []).append(subject)
        places.append(place)
    assert sorted(places) == ["a", "b", "c"]


def test_the_choice_follows_from_the_seed() -> None:
    nodes = [node(f"n{number}") for number in range(8)]
    runs = [
        [choose(pod(), nodes, {}, random).node for _ in range(5)]
        for random in (RandomStream(1), RandomStream(1), RandomStream(2))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_preferred_taints_are_avoided_but_not_fatal() -> None:
    avoided = node("a", taints=[{"key": "slow", "effect": "PreferNoSchedule"}])
    assert chosen(pod(), [avoided, node("b")], b=[pod("x")]).node == "b"
    assert chosen(pod(), [avoided]).node == "a"


@pytest.mark.parametrize(
    ("change", "pending"),
    [
        ({}, True),
        ({"spec": {"nodeName": "a"}}, False),
        ({"spec": {"schedulerName": "mine"}}, False),
        ({"spec": {"schedulingGates": [{"name": "x"}]}}, False),
        ({"metadata": {"name": "p", "deletionTimestamp": "x"}}, False),
        ({"status": {"phase": "Failed"}}, False),
    ],
)
def test_which_pods_wait(change: dict[str, Any], pending: bool) -> None:
    assert is_pending(pod() | change, "default-scheduler") == pending


def test_the_queue_is_by_priority_then_age() -> None:
    old, young, urgent = pod("old"), pod("young"), pod("urgent", priority=5)
    old["metadata"]["creationTimestamp"], young["metadata"]["creationTimestamp"] = "2023-01-01", "2024-01-01"
    assert [entry["metadata"]["name"] for entry in sorted([young, urgent, old], key=queue_order)] == [
        "urgent",
        "old",
        "young",
    ]


def test_requests_are_of_the_larger_of_init_and_main_containers() -> None:
    subject = pod(cpu="100m")
    subject["spec"]["initContainers"] = [{"resources": {"requests": {"cpu": "1", "memory": "1Ki"}}}]
    assert requested(subject) == {"cpu": 1000, "memory": 1_024_000}


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1000), ("250m", 250), ("1.5Gi", 1610612736000), ("2e3", 2_000_000), ("x", 0)]
)
def test_quantities(text: str, value: int) -> None:
    assert thousandths(text) == value


def storage(claim: dict[str, Any] | None, mode: str = "WaitForFirstConsumer", volume_node: str = "") -> Storage:
    affinity = {"required": term("kubernetes.io/hostname", "In", volume_node)["nodeAffinity"][REQUIRED]}
    volume = {"spec": {"nodeAffinity": affinity if volume_node else {}}}
    claims = {} if claim is None else {("default", "data"): {"metadata": {"name": "data"}, **claim}}
    return Storage(claims, {"v": volume}, {"standard": {"volumeBindingMode": mode}})


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PENDING = {"spec": {"storageClassName": "standard"}}
BOUND = {"spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}
UNAVAILABLE = "0/2 nodes are available: {}. preemption: 0/2 nodes are available: 2 " + HELPLESS + "."
CLAIMS = [
    (storage(None), "", 'persistentvolumeclaim "data" not found', 0),
    (storage(PENDING, "Immediate"), "", "pod has unbound immediate PersistentVolumeClaims", 0),
    (storage(PENDING), "a", "", 1),
    (storage(BOUND), "a", "", 0),
    (storage(BOUND, volume_node="b"), "b", "", 0),
    (storage(BOUND, volume_node="gone"), "", "2 node(s) had volume node affinity conflict", 0),
]


@pytest.mark.parametrize(("known", "expected", "why", "waiting"), CLAIMS)
def test_where_a_claim_lets_its_pod_be(known: Storage, expected: str, why: str, waiting: int) -> None:
    nodes = [
        node("a", labels={"kubernetes.io/hostname": "a"}),
        node("b", labels={"kubernetes.io/hostname": "b"}, offered={"cpu": "1"}),
    ]
    subject = pod(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}], cpu="500m")
    found = choose(subject, nodes, {}, RandomStream(1), known)
    assert (found.node, len(found.waiting)) == (expected, waiting)
    assert found.message == (UNAVAILABLE.format(why) if why else "")
