"""StatefulSets: names, order, storage, roll-over, history (upstream `stateful_set_control_test.go`)."""

from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import CONTROLLER_REVISIONS, PODS, STATEFUL_SETS, VOLUME_CLAIMS
from podwire.services.controllers.core import statefulsets
from podwire.services.controllers.core.writes import Create, Delete, Patch

CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def stateful_set(replicas: int = 3, image: str = "nginx:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    base = {"replicas": replicas, "serviceName": "web", "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web"}, "spec": {**base, **spec}}


def step(world: Any) -> list[str]:
    """One decision, applied; what it did to pods."""
    writes = world.decide(statefulsets.decide, world.key(STATEFUL_SETS, "web"))
    done = []
    for write in writes:
        world.apply(write)
        if isinstance(write, Create) and write.resource is PODS:
            done.append(f"+{write.body['metadata']['name']}")
        elif isinstance(write, Delete) and write.resource is PODS:
            done.append(f"-{write.name}")
    return done


def rest(world: Any) -> None:
    """Decides until nothing but waiting is left."""
    for _ in range(60):
        if not world.decide(statefulsets.decide, world.key(STATEFUL_SETS, "web")):
            if all(pod_ready(world, name) for name in world.names(PODS)):
                return
            world.make_ready()
        else:
            step(world)
    raise AssertionError("does not come to rest")


def pod_ready(world: Any, name: str) -> bool:
    return bool(world.get(PODS, name).get("status", {}).get("conditions"))


def images(world: Any) -> dict[str, str]:
    return {name: world.get(PODS, name)["spec"]["containers"][0]["image"] for name in world.names(PODS)}


def change(world: Any, **spec: Any) -> None:
    value = copy_json(world.get(STATEFUL_SETS, "web"))
    value["spec"] |= spec
    value["metadata"]["generation"] += 1
    world.put(STATEFUL_SETS, value)


def test_ordered_sets_grow_one_ready_pod_at_a_time(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(3))
    seen = []
    for _ in range(12):
        seen += step(world)
        if not world.decide(statefulsets.decide, world.key(STATEFUL_SETS, "web")):
            seen.append(f"waits with {len(world.names(PODS))}")
            world.make_ready()
    assert seen[:6] == ["+web-0", "waits with 1", "+web-1", "waits with 2", "+web-2", "waits with 3"]


def test_parallel_sets_grow_and_shrink_at_once(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(3, podManagementPolicy="Parallel"))
    assert step(world) == ["+web-0", "+web-1", "+web-2"]
    rest(world)
    change(world, replicas=0)
    assert step(world) == ["-web-2", "-web-1", "-web-0"]


def test_a_pod_says_who_it_is(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(1))
    step(world)
    pod = world.get(PODS, "web-0")
    revision = world.names(CONTROLLER_REVISIONS)[0]
    assert pod["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": revision,
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-0", "web")


def test_ordinals_may_start_elsewhere(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(2, ordinals={"start": 5}))
    rest(world)
    assert world.names(PODS) == ["web-5", "web-6"]


def test_it_shrinks_from_the_highest_and_grows_again_under_the_same_names(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(3))
    rest(world)
    change(world, replicas=1)
    assert step(world) == ["-web-2"]
    assert step(world) == ["-web-1"]
    rest(world)
    assert world.names(PODS) == ["web-0"]


def test_claims_come_before_their_pod_and_stay_after_it(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(2, volumeClaimTemplates=[CLAIM]))
    rest(world)
    assert world.names(VOLUME_CLAIMS) == ["data-web-0", "data-web-1"]
    volumes = world.get(PODS, "web-1")["spec"]["volumes"]
    assert volumes == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}]
    change(world, replicas=0)
    rest(world)
    assert world.names(VOLUME_CLAIMS) == ["data-web-0", "data-web-1"]


@pytest.mark.parametrize(
    ("policy", "replicas", "owner"),
    [
        ({"whenDeleted": "Retain", "whenScaled": "Retain"}, 1, None),
        ({"whenDeleted": "Delete", "whenScaled": "Retain"}, 1, "StatefulSet"),
        ({"whenDeleted": "Retain", "whenScaled": "Delete"}, 0, "Pod"),
    ],
)
def test_who_owns_the_claims(world: Any, policy: dict[str, str], replicas: int, owner: str | None) -> None:
    spec = {"volumeClaimTemplates": [CLAIM], "persistentVolumeClaimRetentionPolicy": policy}
    world.put(STATEFUL_SETS, stateful_set(1, **spec))
    rest(world)
    if replicas == 0:
        change(world, replicas=0)
        for write in world.decide(statefulsets.decide, world.key(STATEFUL_SETS, "web")):
            if isinstance(write, Patch) and write.resource is VOLUME_CLAIMS:
                world.apply(write)
    owners = world.get(VOLUME_CLAIMS, "data-web-0")["metadata"].get("ownerReferences", [])
    assert [entry["kind"] for entry in owners] == ([owner] if owner else [])


def test_a_roll_over_goes_from_the_highest_ordinal_down_and_waits_for_each(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(3))
    rest(world)
    template = copy_json(world.get(STATEFUL_SETS, "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "nginx:2"
    change(world, template=template)
    steps = []
    for _ in range(30):
        done = step(world)
        steps += done
        if not done and not world.decide(statefulsets.decide, world.key(STATEFUL_SETS, "web")):
            if all(pod_ready(world, name) for name in world.names(PODS)):
                break
            world.make_ready()
    assert steps == ["-web-2", "+web-2", "-web-1", "+web-1", "-web-0", "+web-0"]
    status = world.get(STATEFUL_SETS, "web")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["updatedReplicas"] == status["currentReplicas"] == 3


def test_a_partition_keeps_the_pods_below_it(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(3))
    rest(world)
    template = copy_json(world.get(STATEFUL_SETS, "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "nginx:2"
    change(world, template=template, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    rest(world)
    assert images(world) == {"web-0": "nginx:1", "web-1": "nginx:1", "web-2": "nginx:2"}
    world.drop(PODS, "web-0")
    rest(world)
    assert images(world)["web-0"] == "nginx:1"


def test_on_delete_replaces_nothing_by_itself(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(1, updateStrategy={"type": "OnDelete"}))
    rest(world)
    template = copy_json(world.get(STATEFUL_SETS, "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "nginx:2"
    change(world, template=template)
    rest(world)
    assert images(world) == {"web-0": "nginx:1"}
    world.drop(PODS, "web-0")
    rest(world)
    assert images(world) == {"web-0": "nginx:2"}


def test_going_back_renews_an_old_revision(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(1))
    rest(world)
    first = copy_json(world.get(STATEFUL_SETS, "web")["spec"]["template"])
    second = copy_json(first)
    second["spec"]["containers"][0]["image"] = "nginx:2"
    change(world, template=second)
    rest(world)
    change(world, template=first)
    rest(world)
    kept = {name: world.get(CONTROLLER_REVISIONS, name) for name in world.names(CONTROLLER_REVISIONS)}
    assert sorted(value["revision"] for value in kept.values()) == [2, 3]
    newest = max(kept.values(), key=lambda value: value["revision"])
    assert newest["data"]["spec"]["template"] == first | {"$patch": "replace"}


def test_old_revisions_are_given_up(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(1, revisionHistoryLimit=1))
    for number in range(4):
        template = copy_json(world.get(STATEFUL_SETS, "web")["spec"]["template"])
        template["spec"]["containers"][0]["image"] = f"nginx:{number}"
        change(world, template=template)
        rest(world)
    assert len(world.names(CONTROLLER_REVISIONS)) == 2


def test_a_pod_that_ended_is_made_again(world: Any) -> None:
    world.put(STATEFUL_SETS, stateful_set(1))
    rest(world)
    pod = copy_json(world.get(PODS, "web-0"))
    pod["status"]["phase"] = "Failed"
    world.put(PODS, pod)
    assert step(world) == ["-web-0"]
    assert step(world) == ["+web-0"]
