"""Node life cycle, eviction, garbage, expiry, service accounts."""

from typing import Any

import pytest

from podwire.proto.kube.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
)
from podwire.proto.kube.times import rfc3339
from podwire.services.controllers.core import garbage, namespaces
from podwire.services.controllers.core.node_lifecycle import NodeLifecycle, eviction_time
from podwire.services.controllers.core.writes import Delete
from podwire.services.controllers.loop import WHOLE

SECOND = 1_000_000_000
TOLERATED = [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for name in ("not-ready", "unreachable")
]


def node(name: str = "node-1", ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def lease(world: Any, name: str = "node-1") -> None:
    spec = {"renewTime": rfc3339(world.now)}
    world.put(LEASES, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec})


def pod(name: str = "p", tolerations: Any = None, on: str = "node-1") -> dict[str, Any]:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    spec = {"nodeName": on, "tolerations": TOLERATED if tolerations is None else tolerations}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def taints(world: Any, name: str = "node-1") -> list[tuple[str, str]]:
    listed = world.get(NODES, name)["spec"].get("taints", [])
    return [(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in listed]


def state(world: Any) -> str:
    return str(world.get(NODES, "node-1")["status"]["conditions"][0]["status"])


def test_a_silent_node_is_unknown_after_forty_seconds(world: Any) -> None:
    controller = NodeLifecycle()
    world.put(NODES, node())
    world.put(PODS, pod())
    lease(world)
    world.settle(controller.decide, WHOLE)
    world.now += 39 * SECOND
    world.settle(controller.decide, WHOLE)
    assert (state(world), taints(world)) == ("True", [])
    world.now += 1 * SECOND
    world.settle(controller.decide, WHOLE)
    assert state(world) == "Unknown"
    assert world.get(NODES, "node-1")["status"]["conditions"][0]["reason"] == "NodeStatusUnknown"
    assert taints(world) == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert world.get(PODS, "p")["status"]["conditions"][0]["status"] == "False"
    assert "Node node-1 status is now: NodeNotReady" in world.said


def test_a_lease_keeps_a_node_alive(world: Any) -> None:
    controller = NodeLifecycle()
    world.put(NODES, node())
    for _ in range(10):
        lease(world)
        world.settle(controller.decide, WHOLE)
        world.now += 10 * SECOND
    assert state(world) == "True"


def test_a_controller_that_was_away_does_not_judge_at_once(world: Any) -> None:
    world.put(NODES, node())
    lease(world)
    world.now += 3600 * SECOND
    controller = NodeLifecycle()
    world.settle(controller.decide, WHOLE)
    assert state(world) == "True"
    world.now += 40 * SECOND
    world.settle(controller.decide, WHOLE)
    assert state(world) == "Unknown"


def test_pods_leave_after_their_toleration(world: Any) -> None:
    controller = NodeLifecycle()
    world.put(NODES, node(ready="False"))
    world.put(PODS, pod("patient"))
    world.put(PODS, pod("loyal", [{"operator": "Exists"}]))
    world.put(PODS, pod("impatient", []))
    for _ in range(31):
        lease(world)
        world.settle(controller.decide, WHOLE)
        assert "impatient" not in world.names(PODS)
        assert "patient" in world.names(PODS) or _ == 30
        world.now += 10 * SECOND
    assert world.names(PODS) == ["loyal"]
    assert "Marking for deletion Pod default/patient" in world.said


def test_taints_follow_conditions_and_others_taints_stay(world: Any) -> None:
    controller = NodeLifecycle()
    own = {"key": "example.com/own", "effect": "NoSchedule"}
    steps = [
        (node(ready="False", taints=[own]), [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]),
        (node(ready="True", taints=[own], unschedulable=True), [("unschedulable", "NoSchedule")]),
        (node(ready="True", taints=[own]), []),
    ]
    for body, expected in steps:
        world.put(NODES, body)
        world.settle(controller.decide, WHOLE)
        assert taints(world) == [("example.com/own", "NoSchedule"), *expected]


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], 0),
        (TOLERATED, 300),
        ([{"operator": "Exists"}], None),
        ([*TOLERATED, {**TOLERATED[0], "tolerationSeconds": 5}], 5),
    ],
)
def test_eviction_times(tolerations: Any, expected: int | None) -> None:
    now = 1_700_000_000 * SECOND
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": rfc3339(now)}
    moment = eviction_time(pod(tolerations=tolerations), [taint], now)
    assert moment == (None if expected is None else now + expected * SECOND)


def owned(name: str, owner: Any, kind: str, version: str = "apps/v1") -> dict[str, Any]:
    meta = owner["metadata"]
    reference = {"apiVersion": version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
    return {"metadata": {"name": name, "ownerReferences": [reference]}, "spec": {}}


def test_dependents_of_a_gone_owner_are_suspects(world: Any) -> None:
    owner = world.put(REPLICA_SETS, {"metadata": {"name": "rs"}, "spec": {}})
    world.put(PODS, owned("p", owner, "ReplicaSet"))
    world.put(CONFIG_MAPS, owned("c", owner, "Strange", "example.com/v1"))
    assert garbage.suspects(world.cluster) == []
    world.drop(REPLICA_SETS, "rs")
    world.put(REPLICA_SETS, {"metadata": {"name": "rs"}, "spec": {}})
    (suspect,) = garbage.suspects(world.cluster)
    assert suspect.write.name == "p"
    assert suspect.owners[0][1:3] == ("default", "rs")


def test_foreground_deletion_waits_for_dependents(world: Any) -> None:
    going = {"name": "web", "finalizers": ["foregroundDeletion"], "deletionTimestamp": "2023-11-14T22:13:20Z"}
    owner = world.put(DEPLOYMENTS, {"metadata": going, "spec": {}})
    world.put(REPLICA_SETS, owned("rs", owner, "Deployment"))
    (deletion,) = garbage.finalized(world.cluster)
    assert isinstance(deletion, Delete)
    world.apply(deletion)
    (release,) = garbage.finalized(world.cluster)
    world.apply(release)
    assert "finalizers" not in world.get(DEPLOYMENTS, "web")["metadata"]


def test_orphaning_lets_dependents_go_first(world: Any) -> None:
    going = {"name": "web", "finalizers": ["orphan"], "deletionTimestamp": "2023-11-14T22:13:20Z"}
    owner = world.put(DEPLOYMENTS, {"metadata": going, "spec": {}})
    world.put(REPLICA_SETS, owned("rs", owner, "Deployment"))
    for _ in range(2):
        for write in garbage.finalized(world.cluster):
            world.apply(write)
    assert "ownerReferences" not in world.get(REPLICA_SETS, "rs")["metadata"]
    assert "finalizers" not in world.get(DEPLOYMENTS, "web")["metadata"]


def test_pods_of_gone_nodes_leave_after_a_quarantine(world: Any) -> None:
    collector = garbage.PodCollector()
    world.put(PODS, pod())
    assert world.decide(collector.decide, WHOLE) == []
    world.now += 40 * SECOND
    (deletion,) = world.decide(collector.decide, WHOLE)
    assert deletion.grace == 0
    world.put(NODES, node())
    assert world.decide(collector.decide, WHOLE) == []


def test_events_expire_after_an_hour(world: Any) -> None:
    world.put(EVENTS, {"metadata": {"name": "e"}, "lastTimestamp": rfc3339(world.now)})
    plan = garbage.expired_events(WHOLE, world.cluster, world.now, world.random)
    assert (plan.writes, plan.look_again) == ([], world.now + 3600 * SECOND)
    world.now = plan.look_again
    world.settle(garbage.expired_events, WHOLE)
    assert world.names(EVENTS) == []


def test_every_namespace_has_a_service_account(world: Any) -> None:
    world.put(NAMESPACES, {"metadata": {"name": "team"}})
    world.settle(namespaces.service_account, world.key(NAMESPACES, "team"))
    assert world.get(SERVICE_ACCOUNTS, "default", "team")
    world.put(NAMESPACES, {"metadata": {"name": "going", "deletionTimestamp": "2023-11-14T22:13:20Z"}})
    world.settle(namespaces.service_account, world.key(NAMESPACES, "going"))
    assert namespaces.terminating(world.cluster) == ["going"]
    assert world.names(SERVICE_ACCOUNTS) == ["default"]
