"""Deployments, ReplicaSets, DaemonSets: state in, writes out; the same state again: nothing to do."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, REPLICA_SETS
from podwire.services.controllers.core import daemonsets, deployments, replicasets
from podwire.services.controllers.core.templates import template_hash

SECOND = 1_000_000_000


def template(image: str = "nginx:1") -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}}


def replica_set(replicas: int) -> dict[str, Any]:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template()}
    return {"metadata": {"name": "rs"}, "spec": spec}


def deployment(
    replicas: int = 3, image: str = "nginx:1", kind: str = "RollingUpdate", **rolling: Any
) -> dict[str, Any]:
    strategy: dict[str, Any] = {"type": kind}
    if kind == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxSurge": "25%", "maxUnavailable": "25%", **rolling}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image)}
    return {"metadata": {"name": "web"}, "spec": {**spec, "strategy": strategy}}


def settle(world: Any) -> None:
    """Both workload controllers, as long as either has something to do."""
    for _ in range(30):
        done = world.settle(deployments.decide, world.key(DEPLOYMENTS, "web"))
        for name in world.names(REPLICA_SETS):
            done += world.settle(replicasets.decide, world.key(REPLICA_SETS, name))
        if not done:
            return
    raise AssertionError("the controllers do not come to rest")


def sizes(world: Any) -> dict[str, int]:
    found = {}
    for name in world.names(REPLICA_SETS):
        spec = world.get(REPLICA_SETS, name)["spec"]
        found[spec["template"]["spec"]["containers"][0]["image"]] = spec["replicas"]
    return found


def test_a_replica_set_makes_what_is_missing_once(world: Any) -> None:
    world.put(REPLICA_SETS, replica_set(3))
    world.settle(replicasets.decide, world.key(REPLICA_SETS, "rs"))
    pods = world.names(PODS)
    assert len(pods) == 3
    pod = world.get(PODS, pods[0])
    assert pod["metadata"]["generateName"] == "rs-"
    assert pod["metadata"]["ownerReferences"][0] | {"uid": ""} == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "rs",
        "uid": "",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert world.get(REPLICA_SETS, "rs")["status"]["replicas"] == 3
    assert world.decide(replicasets.decide, world.key(REPLICA_SETS, "rs")) == []
    assert f"Created pod: {pods[0]}" in world.said


def test_a_replica_set_gives_up_the_least_useful_pods(world: Any) -> None:
    world.put(REPLICA_SETS, replica_set(3))
    world.settle(replicasets.decide, world.key(REPLICA_SETS, "rs"))
    first, second, third = world.names(PODS)
    world.make_ready(second)
    unready = copy_json(world.get(PODS, third))
    unready["spec"]["nodeName"] = "node-1"
    world.put(PODS, unready)
    for wanted, left in ((2, [second, third]), (1, [second])):
        shrunk = copy_json(world.get(REPLICA_SETS, "rs"))
        shrunk["spec"]["replicas"] = wanted
        world.put(REPLICA_SETS, shrunk)
        world.settle(replicasets.decide, world.key(REPLICA_SETS, "rs"))
        assert world.names(PODS) == left, first


def test_orphans_are_adopted_and_strangers_let_go(world: Any) -> None:
    world.put(PODS, {"metadata": {"name": "orphan", "labels": {"app": "web"}}, "spec": {}})
    world.put(PODS, {"metadata": {"name": "other", "labels": {"app": "db"}}, "spec": {}})
    world.put(REPLICA_SETS, replica_set(1))
    world.settle(replicasets.decide, world.key(REPLICA_SETS, "rs"))
    assert world.names(PODS) == ["orphan", "other"]
    assert world.get(PODS, "orphan")["metadata"]["ownerReferences"][0]["name"] == "rs"
    lost = copy_json(world.get(PODS, "orphan"))
    lost["metadata"]["labels"] = {"app": "x"}
    world.put(PODS, lost)
    world.settle(replicasets.decide, world.key(REPLICA_SETS, "rs"))
    assert world.get(PODS, "orphan")["metadata"]["ownerReferences"] == []
    assert len(world.names(PODS)) == 3


def test_pods_count_as_available_only_after_min_ready_seconds(world: Any) -> None:
    body = replica_set(1)
    body["spec"]["minReadySeconds"] = 10
    world.put(REPLICA_SETS, body)
    key = world.key(REPLICA_SETS, "rs")
    world.settle(replicasets.decide, key)
    world.make_ready()
    world.settle(replicasets.decide, key)
    assert world.get(REPLICA_SETS, "rs")["status"]["availableReplicas"] == 0
    again = replicasets.decide(key, world.cluster, world.now, world.random).look_again
    assert again == world.now + 10 * SECOND
    world.now = again
    world.settle(replicasets.decide, key)
    assert world.get(REPLICA_SETS, "rs")["status"]["availableReplicas"] == 1


def test_a_deployment_makes_a_replica_set_named_after_its_template(world: Any) -> None:
    world.put(DEPLOYMENTS, deployment())
    settle(world)
    (name,) = world.names(REPLICA_SETS)
    made = world.get(REPLICA_SETS, name)
    digest = made["metadata"]["labels"]["pod-template-hash"]
    assert name == f"web-{digest}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert made["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert len(world.names(PODS)) == 3
    assert f"Scaled up replica set {name} from 0 to 3" in world.said
    world.make_ready()
    settle(world)
    status = world.get(DEPLOYMENTS, "web")["status"]
    assert (status["readyReplicas"], status["availableReplicas"], status["unavailableReplicas"]) == (3, 3, 0)
    assert {c["type"]: c["reason"] for c in status["conditions"]} == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),
        (3, 2, "100%", (2, 3)),
        (2, "0%", "10%", (0, 1)),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    assert deployments.limits(deployment(replicas, maxSurge=surge, maxUnavailable=unavailable)) == expected


@pytest.mark.parametrize(
    "rolling", [{}, {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}, {"maxSurge": "100%"}]
)
def test_a_roll_over_stays_within_its_limits_at_every_step(world: Any, rolling: dict[str, Any]) -> None:
    world.put(DEPLOYMENTS, deployment(4, "nginx:1", **rolling))
    settle(world)
    world.make_ready()
    settle(world)
    body = world.get(DEPLOYMENTS, "web")
    limits = deployments.limits(body)
    world.put(DEPLOYMENTS, {**body, "spec": {**body["spec"], "template": template("nginx:2")}})
    for _ in range(20):
        settle(world)
        total, ready = _count(world)
        assert total <= 4 + limits.surge
        assert ready >= 4 - limits.unavailable
        unready = [name for name in world.names(PODS) if "status" not in world.get(PODS, name)]
        if not unready:
            break
        world.make_ready(unready[0])
    assert sizes(world) == {"nginx:1": 0, "nginx:2": 4}
    assert _count(world) == (4, 4)


def _count(world: Any) -> tuple[int, int]:
    pods = [world.get(PODS, name) for name in world.names(PODS)]
    return len(pods), sum("status" in pod for pod in pods)


def test_recreate_waits_for_the_last_old_pod(world: Any) -> None:
    world.put(DEPLOYMENTS, deployment(2, "nginx:1", "Recreate"))
    settle(world)
    world.make_ready()
    settle(world)
    body = world.get(DEPLOYMENTS, "web")
    world.put(DEPLOYMENTS, {**body, "spec": {**body["spec"], "template": template("nginx:2")}})
    world.settle(deployments.decide, world.key(DEPLOYMENTS, "web"))
    assert sizes(world) == {"nginx:1": 0}
    settle(world)
    assert sizes(world) == {"nginx:1": 0, "nginx:2": 2}


def test_an_undo_gets_a_new_revision_number(world: Any) -> None:
    world.put(DEPLOYMENTS, deployment(1))
    for image in ("nginx:1", "nginx:2", "nginx:1"):
        body = world.get(DEPLOYMENTS, "web")
        world.put(DEPLOYMENTS, {**body, "spec": {**body["spec"], "template": template(image)}})
        for _ in range(4):
            settle(world)
            world.make_ready()
    assert world.get(DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert sizes(world) == {"nginx:1": 1, "nginx:2": 0}


def test_old_replica_sets_are_kept_as_history(world: Any) -> None:
    body = deployment(1)
    body["spec"]["revisionHistoryLimit"] = 2
    world.put(DEPLOYMENTS, body)
    for number in range(5):
        current = world.get(DEPLOYMENTS, "web")
        world.put(DEPLOYMENTS, {**current, "spec": {**current["spec"], "template": template(f"nginx:{number}")}})
        for _ in range(4):
            settle(world)
            world.make_ready()
    assert sizes(world) == {"nginx:2": 0, "nginx:3": 0, "nginx:4": 1}


def test_a_deployment_without_progress_misses_its_deadline(world: Any) -> None:
    world.put(DEPLOYMENTS, deployment(1))
    settle(world)
    key = world.key(DEPLOYMENTS, "web")
    world.now = deployments.decide(key, world.cluster, world.now, world.random).look_again
    settle(world)
    conditions = {c["type"]: c for c in world.get(DEPLOYMENTS, "web")["status"]["conditions"]}
    assert conditions["Progressing"]["reason"] == "ProgressDeadlineExceeded"
    assert conditions["Available"]["status"] == "False"


def node(name: str, *taints: tuple[str, str], **labels: str) -> dict[str, Any]:
    listed = [{"key": key, "effect": effect} for key, effect in taints]
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": listed}}


def daemon_set(**spec: Any) -> dict[str, Any]:
    body = template("agent:1")
    body["spec"] |= spec
    return {"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": body}}


NODES_OF_DAEMONS = [
    ({}, ["plain", "unschedulable"]),
    ({"tolerations": [{"operator": "Exists"}]}, ["cp", "plain", "unschedulable"]),
    ({"nodeSelector": {"disk": "ssd"}}, ["unschedulable"]),
    ({"nodeSelector": {"disk": "tape"}}, []),
]


@pytest.mark.parametrize(("spec", "expected"), NODES_OF_DAEMONS)
def test_a_daemon_runs_on_every_node_that_fits(world: Any, spec: dict[str, Any], expected: list[str]) -> None:
    world.put(NODES, node("cp", ("node-role.kubernetes.io/control-plane", "NoSchedule")))
    world.put(NODES, node("plain", ("node.kubernetes.io/not-ready", "NoExecute")))
    world.put(NODES, node("unschedulable", ("node.kubernetes.io/unschedulable", "NoSchedule"), disk="ssd"))
    world.put(DAEMON_SETS, daemon_set(**spec))
    world.settle(daemonsets.decide, world.key(DAEMON_SETS, "agent"))
    assert sorted(daemonsets.target_node(world.get(PODS, name)) for name in world.names(PODS)) == expected
    assert world.get(DAEMON_SETS, "agent")["status"]["desiredNumberScheduled"] == len(expected)


def test_daemons_follow_nodes(world: Any) -> None:
    world.put(NODES, node("a"))
    world.put(DAEMON_SETS, daemon_set())
    key = world.key(DAEMON_SETS, "agent")
    world.settle(daemonsets.decide, key)
    world.put(NODES, node("b"))
    world.settle(daemonsets.decide, key)
    assert len(world.names(PODS)) == 2
    world.drop(NODES, "a")
    world.settle(daemonsets.decide, key)
    assert [daemonsets.target_node(world.get(PODS, name)) for name in world.names(PODS)] == ["b"]


def test_daemons_roll_over_one_node_at_a_time(world: Any) -> None:
    for name in ("a", "b", "c"):
        world.put(NODES, node(name))
    world.put(DAEMON_SETS, daemon_set())
    key = world.key(DAEMON_SETS, "agent")
    world.settle(daemonsets.decide, key)
    world.make_ready()
    world.settle(daemonsets.decide, key)
    before = world.names(PODS)
    body = world.get(DAEMON_SETS, "agent")
    world.put(DAEMON_SETS, {**body, "spec": {**body["spec"], "template": template("agent:2")}})
    for step in range(1, 4):
        world.settle(daemonsets.decide, key)
        assert len([name for name in world.names(PODS) if name in before]) == 3 - step
        world.make_ready(*[name for name in world.names(PODS) if name not in before])
    world.settle(daemonsets.decide, key)
    assert world.get(DAEMON_SETS, "agent")["status"]["updatedNumberScheduled"] == 3


def test_daemons_that_surge_come_before_the_old_ones_go(world: Any) -> None:
    names = ("a", "b", "c")
    for name in names:
        world.put(NODES, node(name))
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    given = daemon_set()
    given["spec"]["updateStrategy"] = rolling
    world.put(DAEMON_SETS, given)
    key = world.key(DAEMON_SETS, "agent")
    world.settle(daemonsets.decide, key)
    world.make_ready()
    world.settle(daemonsets.decide, key)
    before = world.names(PODS)
    body = world.get(DAEMON_SETS, "agent")
    world.put(DAEMON_SETS, {**body, "spec": {**body["spec"], "template": template("agent:2")}})
    for step in range(1, 4):
        world.settle(daemonsets.decide, key)
        assert len(world.names(PODS)) == 4, "one node has both"
        assert len([name for name in world.names(PODS) if name in before]) == 4 - step
        world.make_ready(*[name for name in world.names(PODS) if name not in before])
    world.settle(daemonsets.decide, key)
    assert not set(before) & set(world.names(PODS)) and len(world.names(PODS)) == 3


def test_a_failed_daemon_is_replaced(world: Any) -> None:
    world.put(NODES, node("a"))
    world.put(DAEMON_SETS, daemon_set())
    key = world.key(DAEMON_SETS, "agent")
    world.settle(daemonsets.decide, key)
    (name,) = world.names(PODS)
    world.put(PODS, {**world.get(PODS, name), "status": {"phase": "Failed"}})
    world.settle(daemonsets.decide, key)
    assert len(world.names(PODS)) == 1
    assert name not in world.names(PODS)


def test_hashes_use_kubernetes_alphabet_and_do_not_depend_on_key_order() -> None:
    assert template_hash({"a": 1, "b": 2}) == template_hash({"b": 2, "a": 1}) != template_hash({"a": 2})
    assert set(template_hash({"a": 1})) <= set("bcdfghjklmnpqrstvwxz2456789")
