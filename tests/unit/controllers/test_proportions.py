"""Scaling in the middle of a roll-over (upstream `sync_test.go`, TestScale), and the causes of changes."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from podwire.services.controllers.core import deployments, replicasets
from podwire.services.controllers.core.proportions import Share, sizes

CASES = [
    ("one scales up", [("a", 10, 10)], 12, 0, {"a": 12}),
    ("two of one size", [("a", 5, 10), ("b", 5, 10)], 20, 0, {"a": 10, "b": 10}),
    ("in proportion", [("a", 8, 10), ("b", 2, 10)], 20, 0, {"a": 16, "b": 4}),
    ("what is left goes to the largest", [("a", 7, 10), ("b", 3, 10)], 11, 0, {"a": 8, "b": 3}),
    ("the newer of two alike grows first", [("a", 5, 10), ("b", 5, 10)], 11, 0, {"a": 5, "b": 6}),
    ("down in proportion", [("a", 8, 10), ("b", 2, 10)], 5, 0, {"a": 4, "b": 1}),
    ("the older of two alike shrinks first", [("a", 5, 10), ("b", 5, 10)], 9, 0, {"a": 4, "b": 5}),
    ("to nothing", [("a", 8, 10), ("b", 2, 10)], 0, 3, {"a": 0, "b": 0}),
    ("with surge", [("a", 10, 13), ("b", 3, 13)], 20, 6, {"a": 20, "b": 6}),
]


@pytest.mark.parametrize(("name", "shares", "replicas", "surge", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_shares(name: str, shares: list[tuple[str, int, int]], replicas: int, surge: int, expected: Any) -> None:
    found = sizes([Share(*share) for share in shares], replicas, surge)
    assert found == expected
    assert sum(found.values()) == (replicas + surge if replicas else 0)


def web(replicas: int, image: str) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 2}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, "strategy": rolling}
    return {"metadata": {"name": "web", "generation": 1}, "spec": spec}


def settle(world: Any) -> None:
    for _ in range(30):
        done = world.settle(deployments.decide, world.key(DEPLOYMENTS, "web"))
        done += sum(
            world.settle(replicasets.decide, world.key(REPLICA_SETS, name)) for name in world.names(REPLICA_SETS)
        )
        if not done:
            return
    raise AssertionError("the controllers do not come to rest")


def by_image(world: Any) -> dict[str, int]:
    specs = [world.get(REPLICA_SETS, name)["spec"] for name in world.names(REPLICA_SETS)]
    return {spec["template"]["spec"]["containers"][0]["image"]: spec["replicas"] for spec in specs}


@pytest.mark.parametrize("paused", [False, True])
def test_a_deployment_that_is_scaled_while_it_rolls_keeps_the_proportion(world: Any, paused: bool) -> None:
    world.put(DEPLOYMENTS, web(10, "one"))
    settle(world)
    world.make_ready()
    settle(world)
    world.put(DEPLOYMENTS, copy_json(world.get(DEPLOYMENTS, "web")) | {"spec": web(10, "two")["spec"]})
    settle(world)
    assert by_image(world) == {"one": 8, "two": 4}
    value = copy_json(world.get(DEPLOYMENTS, "web"))
    value["spec"] |= {"replicas": 20, "paused": paused}
    world.put(DEPLOYMENTS, value)
    settle(world)
    grown = by_image(world)
    assert sum(grown.values()) == 22 and grown["one"] > 10
    value = copy_json(world.get(DEPLOYMENTS, "web"))
    value["spec"]["paused"] = False
    world.put(DEPLOYMENTS, value)
    for _ in range(20):
        settle(world)
        world.make_ready()
    assert by_image(world) == {"one": 0, "two": 20}
    assert len(world.names(PODS)) == 20


def test_the_cause_of_a_change_is_its_replica_sets(world: Any) -> None:
    world.put(DEPLOYMENTS, web(1, "one"))
    settle(world)
    value = copy_json(world.get(DEPLOYMENTS, "web"))
    value["metadata"].setdefault("annotations", {})["kubernetes.io/change-cause"] = "first"
    world.put(DEPLOYMENTS, value)
    settle(world)
    [name] = world.names(REPLICA_SETS)
    assert world.get(REPLICA_SETS, name)["metadata"]["annotations"]["kubernetes.io/change-cause"] == "first"
