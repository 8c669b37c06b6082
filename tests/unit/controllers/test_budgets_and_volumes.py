"""PodDisruptionBudgets, autoscalers, and volumes with their claims."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    STORAGE_CLASSES,
    VOLUME_CLAIMS,
    VOLUMES,
)
from podwire.proto.kube.times import rfc3339
from podwire.services.controllers.core import autoscalers, disruption, volumes
from podwire.services.controllers.core.cluster import owner_reference
from podwire.services.controllers.core.volume_provisioning import PROVISIONER, SELECTED_NODE

SECOND = 1_000_000_000


def pods(world: Any, count: int, replicas: int) -> None:
    """Ready pods of a Deployment that asks for `replicas`."""
    deployment = world.put(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": {"replicas": replicas}})
    owner = [owner_reference(DEPLOYMENTS, deployment)]
    meta = {"name": "web-1", "ownerReferences": owner}
    replica_set = world.put(REPLICA_SETS, {"metadata": meta, "spec": {"replicas": replicas}})
    for number in range(count):
        meta = {
            "name": f"p{number}",
            "labels": {"app": "web"},
            "ownerReferences": [owner_reference(REPLICA_SETS, replica_set)],
        }
        world.put(PODS, {"metadata": meta, "spec": {}})
    world.make_ready()


@pytest.mark.parametrize(
    ("spec", "running", "expected", "healthy", "allowed"),
    [
        ({"minAvailable": 2}, 3, 3, 2, 1),
        ({"minAvailable": 3}, 3, 3, 3, 0),
        ({"minAvailable": "50%"}, 3, 4, 2, 1),
        ({"minAvailable": "100%"}, 4, 4, 4, 0),
        ({"maxUnavailable": 1}, 4, 4, 3, 1),
        ({"maxUnavailable": 1}, 3, 4, 3, 0),
        ({"maxUnavailable": "25%"}, 4, 4, 3, 1),
        ({"maxUnavailable": "30%"}, 4, 4, 2, 2),
        ({"maxUnavailable": 0}, 4, 4, 4, 0),
    ],
)
def test_how_many_may_go(
    world: Any, spec: dict[str, Any], running: int, expected: int, healthy: int, allowed: int
) -> None:
    pods(world, running, 4)
    given = {**spec, "selector": {"matchLabels": {"app": "web"}}}
    world.put(DISRUPTION_BUDGETS, {"metadata": {"name": "b"}, "spec": given})
    world.settle(disruption.decide, world.key(DISRUPTION_BUDGETS, "b"))
    status = world.get(DISRUPTION_BUDGETS, "b")["status"]
    assert (status["expectedPods"], status["desiredHealthy"], status["disruptionsAllowed"]) == (
        expected,
        healthy,
        allowed,
    )
    assert status["currentHealthy"] == running
    reason = "SufficientPods" if allowed else "InsufficientPods"
    assert [entry["reason"] for entry in status["conditions"]] == [reason]


def test_an_evicted_pod_counts_as_gone_until_it_is_seen_going_or_two_minutes_pass(world: Any) -> None:
    pods(world, 3, 3)
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    status = {"disruptedPods": {"p0": rfc3339(world.now)}}
    world.put(DISRUPTION_BUDGETS, {"metadata": {"name": "b"}, "spec": spec, "status": status})
    key = world.key(DISRUPTION_BUDGETS, "b")
    world.settle(disruption.decide, key)
    assert world.get(DISRUPTION_BUDGETS, "b")["status"]["currentHealthy"] == 2
    world.now = disruption.decide(key, world.cluster, world.now, world.random).look_again
    world.settle(disruption.decide, key)
    assert world.get(DISRUPTION_BUDGETS, "b")["status"]["currentHealthy"] == 3


@pytest.mark.parametrize(("replicas", "wanted"), [(1, 2), (2, 2), (5, 4), (0, 0)])
def test_an_autoscaler_keeps_its_bounds_without_metrics(world: Any, replicas: int, wanted: int) -> None:
    world.put(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": {"replicas": replicas}})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": target}
    world.put(AUTOSCALERS, {"metadata": {"name": "a"}, "spec": spec})
    world.settle(autoscalers.decide, world.key(AUTOSCALERS, "a"))
    assert world.get(DEPLOYMENTS, "web")["spec"]["replicas"] == wanted
    conditions = {entry["type"]: entry["reason"] for entry in world.get(AUTOSCALERS, "a")["status"]["conditions"]}
    assert conditions["ScalingActive"] == ("FailedGetResourceMetric" if wanted else "ScalingDisabled")


def volume(name: str, size: str, **spec: Any) -> dict[str, Any]:
    base = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/{name}"}}
    return {"metadata": {"name": name}, "spec": {**base, **spec}}


def claim(size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": ""}
    meta = {"name": "c", "finalizers": ["kubernetes.io/pvc-protection"]}
    return {"metadata": meta, "spec": {**base, **spec}}


def settle(world: Any) -> None:
    for _ in range(20):
        done = sum(world.settle(volumes.decide_volume, key) for key in sorted(world.objects[VOLUMES]))
        done += sum(world.settle(volumes.decide_claim, key) for key in sorted(world.objects[VOLUME_CLAIMS]))
        if not done:
            return
    raise AssertionError("does not settle")


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({}, "small"),
        ({"resources": {"requests": {"storage": "3Gi"}}}, "large"),
        ({"resources": {"requests": {"storage": "9Gi"}}}, None),
        ({"accessModes": ["ReadWriteMany"]}, None),
        ({"storageClassName": "fast"}, "fast"),
        ({"selector": {"matchLabels": {"disk": "ssd"}}}, None),
        ({"volumeName": "large"}, "large"),
        ({"volumeMode": "Block"}, None),
    ],
)
def test_which_volume_a_claim_gets(world: Any, asked: dict[str, Any], chosen: str | None) -> None:
    world.put(VOLUMES, volume("large", "5Gi"))
    world.put(VOLUMES, volume("small", "2Gi"))
    world.put(VOLUMES, volume("fast", "2Gi", storageClassName="fast"))
    world.put(VOLUME_CLAIMS, claim(**asked))
    settle(world)
    found = world.get(VOLUME_CLAIMS, "c")
    assert found["spec"].get("volumeName") == chosen
    assert found.get("status", {}).get("phase") == ("Bound" if chosen else None)
    if chosen:
        bound = world.get(VOLUMES, chosen)
        assert (bound["status"]["phase"], bound["spec"]["claimRef"]["uid"]) == ("Bound", found["metadata"]["uid"])
        assert found["status"]["capacity"] == bound["spec"]["capacity"]


def storage_class(world: Any) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    body = {
        "metadata": {"name": "standard", "annotations": annotations},
        "provisioner": PROVISIONER,
    }
    world.put(STORAGE_CLASSES, body | {"volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete"})


def test_a_claim_without_a_class_gets_the_default_and_waits_for_its_first_pod(world: Any) -> None:
    storage_class(world)
    body = claim()
    del body["spec"]["storageClassName"]
    world.put(VOLUME_CLAIMS, body)
    settle(world)
    assert world.get(VOLUME_CLAIMS, "c")["spec"]["storageClassName"] == "standard"
    assert "waiting for first consumer to be created before binding" in world.said
    assert world.names(VOLUMES) == []


def test_a_folder_of_the_selected_node_becomes_its_volume_and_goes_with_it(world: Any) -> None:
    storage_class(world)
    body = claim(storageClassName="standard")
    body["metadata"]["annotations"] = {SELECTED_NODE: "node-2"}
    made = world.put(VOLUME_CLAIMS, body)
    settle(world)
    name = f"pvc-{made['metadata']['uid']}"
    spec = world.get(VOLUMES, name)["spec"]
    terms = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["node-2"]
    assert world.get(VOLUME_CLAIMS, "c")["status"]["phase"] == "Bound"
    world.drop(VOLUME_CLAIMS, "c")
    settle(world)
    assert world.names(VOLUMES) == []


def test_a_kept_volume_is_released_and_never_bound_again(world: Any) -> None:
    world.put(VOLUMES, volume("v", "2Gi"))
    world.put(VOLUME_CLAIMS, claim())
    settle(world)
    world.drop(VOLUME_CLAIMS, "c")
    settle(world)
    assert world.get(VOLUMES, "v")["status"]["phase"] == "Released"
    world.put(VOLUME_CLAIMS, claim())
    settle(world)
    assert "volumeName" not in world.get(VOLUME_CLAIMS, "c")["spec"]


def test_a_claim_that_is_deleted_stays_while_a_pod_uses_it(world: Any) -> None:
    body = claim()
    body["metadata"]["deletionTimestamp"] = rfc3339(world.now)
    world.put(VOLUME_CLAIMS, body)
    spec = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}
    pod = world.put(PODS, {"metadata": {"name": "p"}, "spec": spec})
    settle(world)
    assert world.get(VOLUME_CLAIMS, "c")["metadata"]["finalizers"]
    world.put(PODS, copy_json(pod) | {"status": {"phase": "Succeeded"}})
    settle(world)
    assert not world.get(VOLUME_CLAIMS, "c")["metadata"].get("finalizers")


def test_a_claim_whose_volume_is_gone_is_lost(world: Any) -> None:
    world.put(VOLUME_CLAIMS, claim(volumeName="v") | {"status": {"phase": "Bound"}})
    settle(world)
    assert world.get(VOLUME_CLAIMS, "c")["status"]["phase"] == "Lost"
