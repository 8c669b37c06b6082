"""What the server adds to new objects from what else is in the cluster."""

from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def priority_class(server: Any, name: str, value: int, **more: Any) -> None:
    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value}
    server.create(CLASSES, body | more)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "a", "image": "a"}]} | spec,
    }


@pytest.mark.parametrize(
    ("named", "expected"),
    [("", ("", 0, "PreemptLowerPriority")), ("high", ("high", 1000, "Never"))],
)
def test_a_pod_gets_the_number_of_its_priority_class(server: Any, named: str, expected: tuple[str, int, str]) -> None:
    priority_class(server, "high", 1000, preemptionPolicy="Never")
    spec = server.create(PODS, pod("p", **({"priorityClassName": named} if named else {})))["spec"]
    assert (spec.get("priorityClassName", ""), spec["priority"], spec["preemptionPolicy"]) == expected


def test_the_default_priority_class_is_taken_unless_another_is_named(server: Any) -> None:
    priority_class(server, "usual", 5, globalDefault=True)
    spec = server.create(PODS, pod("p"))["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 5)


def test_a_priority_class_that_is_not_there(server: Any) -> None:
    code, answer = server.request("POST", PODS, pod("p", priorityClassName="nope"))
    assert (code, answer["message"]) == (403, 'pods "p" is forbidden: no PriorityClass with name nope was found')


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "standard"), ({"storageClassName": ""}, ""), ({"storageClassName": "x"}, "x")]
)
def test_a_claim_gets_the_default_storage_class(server: Any, given: dict[str, str], expected: str) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "standard", "annotations": annotations}
    server.create(
        STORAGE, {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": "p"}
    )
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **given}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec}
    assert server.create(CLAIMS, body)["spec"]["storageClassName"] == expected
