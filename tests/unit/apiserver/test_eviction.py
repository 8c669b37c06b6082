"""Evictions respect the budget (upstream `pkg/registry/core/pod/storage/eviction_test.go`)."""

from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
READY = [{"type": "Ready", "status": "True"}]


def running_pod(server: Any, name: str, ready: bool = True, phase: str = "Running") -> None:
    spec = {"nodeName": "node-1", "containers": [{"name": "a", "image": "a"}]}
    meta = {"name": name, "labels": {"app": "web"}}
    server.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    body = {"status": {"phase": phase, "conditions": READY if ready else []}}
    code, _ = server.request("PATCH", f"{PODS}/{name}/status", body, content_type="application/merge-patch+json")
    assert code == 200


def budget(server: Any, name: str, allowed: int, current: int = 3, desired: int = 2, **spec: Any) -> None:
    given = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}} | spec
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": given}
    server.create(BUDGETS, body)
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": current,
        "desiredHealthy": desired,
        "expectedPods": 3,
        "observedGeneration": 1,
    }
    path = f"{BUDGETS}/{name}/status"
    assert server.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")[0] == 200


def evict(server: Any, pod: str, **options: Any) -> tuple[int, Any]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    code, answer = server.request("POST", f"{PODS}/{pod}/eviction", body | options)
    return code, answer


def test_a_pod_without_a_budget_goes(server: Any) -> None:
    running_pod(server, "a")
    assert evict(server, "a")[0] == 201
    pod = server.get(f"{PODS}/a")
    assert pod["metadata"]["deletionTimestamp"]
    assert pod["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"


def test_an_eviction_takes_one_disruption_and_names_its_pod(server: Any) -> None:
    running_pod(server, "a")
    budget(server, "web", 1)
    assert evict(server, "a")[0] == 201
    status = server.get(f"{BUDGETS}/web")["status"]
    assert status["disruptionsAllowed"] == 0
    assert list(status["disruptedPods"]) == ["a"]


def test_no_disruption_left_is_refused_with_the_budget_as_cause(server: Any) -> None:
    running_pod(server, "a")
    budget(server, "web", 0, current=2)
    code, answer = evict(server, "a")
    assert (code, answer["reason"]) == (429, "TooManyRequests")
    assert answer["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    text = "The disruption budget web needs 2 healthy pods and has 2 currently"
    assert answer["details"]["causes"] == [{"reason": "DisruptionBudget", "message": text}]
    assert "deletionTimestamp" not in server.get(f"{PODS}/a")["metadata"]


def test_a_budget_that_was_not_looked_at_yet_is_waited_for(server: Any) -> None:
    running_pod(server, "a")
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "new"}, "spec": spec}
    server.create(BUDGETS, body)
    code, answer = evict(server, "a")
    assert (code, answer["details"]["retryAfterSeconds"]) == (429, 10)


def test_two_budgets_are_an_error(server: Any) -> None:
    running_pod(server, "a")
    budget(server, "one", 1)
    budget(server, "two", 1)
    code, answer = evict(server, "a")
    assert code == 500 and "more than one PodDisruptionBudget" in answer["message"]


@pytest.mark.parametrize(
    ("policy", "current", "expected"),
    [("IfHealthyBudget", 2, 201), ("IfHealthyBudget", 1, 429), ("AlwaysAllow", 1, 201)],
)
def test_pods_that_are_not_ready(server: Any, policy: str, current: int, expected: int) -> None:
    running_pod(server, "a", ready=False)
    budget(server, "web", 0, current=current, unhealthyPodEvictionPolicy=policy)
    assert evict(server, "a")[0] == expected


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_no_budget_counts(server: Any, phase: str) -> None:
    running_pod(server, "a", phase=phase)
    budget(server, "web", 0)
    assert evict(server, "a")[0] == 201


def test_a_dry_run_changes_nothing(server: Any) -> None:
    running_pod(server, "a")
    budget(server, "web", 1)
    revision = server.store.revision
    assert evict(server, "a", deleteOptions={"dryRun": ["All"]})[0] == 201
    assert server.store.revision == revision
