"""A cluster as plain objects: decisions are applied to it at once, as the API server would."""

from collections.abc import Callable
from typing import Any

import pytest

from podwire.proto.kube import resources
from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import EVENTS, Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomStream
from podwire.services.controllers.core.cluster import Cluster, Shelf
from podwire.services.controllers.core.daemonsets import target_node
from podwire.services.controllers.core.writes import Create, Delete, Finalize, Patch, Plan, Write

SECOND = 1_000_000_000
KNOWN = [value for value in vars(resources).values() if isinstance(value, Resource)]

type Decide = Callable[[ObjectKey, Cluster, int, RandomStream], Plan]


def merge(document: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class World:
    """Objects by resource, a clock, and the events that were said."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.objects: dict[Resource, dict[ObjectKey, Any]] = {}
        self.revisions: dict[Resource, dict[ObjectKey, int]] = {}
        self.random = RandomStream(3)
        self.now = 1_700_000_000 * SECOND
        self.revision = 0
        self.said: list[str] = []
        for resource in KNOWN:
            self.objects[resource], self.revisions[resource] = {}, {}
            self.cluster.add(Shelf(resource, self.objects[resource], self.revisions[resource]))

    def put(self, resource: Resource, body: Any) -> Any:
        """Stores an object as it is, with what the API server would add."""
        value = copy_json(body)
        meta = value.setdefault("metadata", {})
        if resource.namespaced:
            meta.setdefault("namespace", "default")
        self.revision += 1
        meta.setdefault("uid", f"uid-{self.revision}")
        meta.setdefault("generation", 1)
        key = ObjectKey(resource.group, resource.resource, meta.get("namespace", ""), meta["name"])
        self.objects[resource][key] = value
        self.revisions[resource][key] = self.revision
        self.cluster[resource].note(key)
        return value

    def drop(self, resource: Resource, name: str, namespace: str = "default") -> None:
        key = self.key(resource, name, namespace)
        del self.objects[resource][key]
        self.cluster[resource].note(key)

    def key(self, resource: Resource, name: str, namespace: str = "default") -> ObjectKey:
        return ObjectKey(resource.group, resource.resource, namespace if resource.namespaced else "", name)

    def get(self, resource: Resource, name: str, namespace: str = "default") -> Any:
        return self.objects[resource][self.key(resource, name, namespace)]

    def names(self, resource: Resource) -> list[str]:
        return sorted(key.name for key in self.objects[resource])

    def decide(self, decide: Decide, key: ObjectKey) -> list[Write]:
        """The writes of one decision, events left out."""
        plan = decide(key, self.cluster, self.now, self.random)
        writes = []
        for write in plan.writes:
            if isinstance(write, Create) and write.resource is EVENTS:
                self.said.append(write.body["message"])
            else:
                writes.append(write)
        return writes

    def settle(self, decide: Decide, key: ObjectKey, rounds: int = 20) -> int:
        """Decides and applies until nothing is left to do; the number of writes."""
        count = 0
        for _ in range(rounds):
            writes = self.decide(decide, key)
            if not writes:
                return count
            count += len(writes)
            for write in writes:
                self.apply(write)
        raise AssertionError(f"does not settle: {self.decide(decide, key)}")

    def apply(self, write: Write) -> None:
        if isinstance(write, Create):
            key = self.key(write.resource, write.body["metadata"]["name"], write.namespace)
            assert key not in self.objects[write.resource], f"{key} exists"
            self.put(write.resource, write.body)
        elif isinstance(write, Delete):
            assert self.get(write.resource, write.name, write.namespace)["metadata"]["uid"] == write.uid
            self.drop(write.resource, write.name, write.namespace)
        elif isinstance(write, Patch):
            self._patch(write)
        else:
            assert isinstance(write, Finalize)

    def _patch(self, write: Patch) -> None:
        key = self.key(write.resource, write.name, write.namespace)
        assert write.revision in (0, self.revisions[write.resource][key]), "a conflict"
        value = merge(self.objects[write.resource][key], write.body)
        if "spec" in write.body and value.get("spec") != self.objects[write.resource][key].get("spec"):
            value["metadata"]["generation"] = value["metadata"].get("generation", 0) + 1
        self.put(write.resource, value)

    def make_ready(self, *names: str, node: str = "node-1") -> None:
        """Pods run and are ready (all of them, when none is named)."""
        for name in names or self.names(resources.PODS):
            pod = copy_json(self.get(resources.PODS, name))
            pod["spec"].setdefault("nodeName", target_node(pod) or node)
            pod["status"] = {
                "phase": "Running",
                "podIP": "10.244.1." + str(len(self.names(resources.PODS)) + int(pod["metadata"]["uid"][4:])),
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2023-11-14T22:13:20Z"}],
            }
            self.put(resources.PODS, pod)


@pytest.fixture
def world() -> World:
    return World()
