"""Evicting a Pod: a deletion that its PodDisruptionBudget allows.

Source: kubernetes `pkg/registry/core/pod/rest/eviction.go`. The budget's status says how many disruptions are left; an
eviction takes one and names the pod there, so that none is counted twice before the controller sees it going.
"""

from typing import Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.labels import matches_labels
from podwire.proto.kube.times import rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import deletion, objects
from podwire.services.apiserver.core.decisions import Append, Decision, Write, json_answer
from podwire.services.apiserver.core.errors import ApiError, bad_request, forbidden
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.selectors import from_object

_EVICTION: Final = "io.k8s.api.policy.v1.Eviction"
_BUDGETS: Final = ("policy", "poddisruptionbudgets")
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL: Final = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_MOST_DISRUPTED: Final = 2000
_SUCCESS: Final[Json] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def evict(request: Request, pod: Json) -> Decision:
    """POST of an Eviction; raises ApiError 429 while the budget allows no disruption."""
    given = objects.decode(request, request.body, [], _EVICTION)
    name = section(given, "metadata").get("name", "") or request.target.name
    if name != request.target.name:
        raise bad_request(f"name in URL does not match name in Eviction object: {request.target.name} != {name}")
    options = deletion.options_of(request, section(given, "deleteOptions"))
    taken = () if _is_free(pod) else _take(request, pod)
    decision = deletion.delete_object(request, _disrupted(request, pod), options)
    if isinstance(decision, Write):
        return Write(decision.main, copy_json(_SUCCESS), 201, taken)
    return json_answer(_SUCCESS, 201)


def _is_free(pod: Json) -> bool:
    """Whether a budget does not count the pod (canIgnorePDB)."""
    phase = section(pod, "status").get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _disrupted(request: Request, pod: Json) -> Json:
    """The pod with the condition that says why it goes."""
    value = copy_json(pod)
    status = value.setdefault("status", {})
    status["conditions"] = [
        *(entry for entry in items(status, "conditions") if entry.get("type") != "DisruptionTarget"),
        {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(request.now),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        },
    ]
    return value


def _take(request: Request, pod: Json) -> tuple[Append, ...]:
    """The write that takes one disruption from the pod's budget, if it has one."""
    budgets = _budgets_of(request, pod)
    if len(budgets) > 1:
        raise ApiError(500, "InternalError", _SEVERAL)
    if not budgets or _may_go_unhealthy(budgets[0], pod):
        return ()
    budget = _decremented(request, budgets[0], pod["metadata"]["name"])
    key = ObjectKey(*_BUDGETS, budget["metadata"]["namespace"], budget["metadata"]["name"])
    return () if request.dry_run else (request.event(key, "MODIFIED", budget),)


def _budgets_of(request: Request, pod: Json) -> list[Json]:
    meta = pod["metadata"]
    return [
        budget
        for budget in request.store.objects(_BUDGETS, meta["namespace"])
        if section(budget, "spec").get("selector") is not None
        and matches_labels(from_object(section(budget, "spec", "selector")), section(meta, "labels"))
    ]


def _may_go_unhealthy(budget: Json, pod: Json) -> bool:
    """A pod that is not ready may go although nothing is allowed (KEP-3017)."""
    conditions = items(section(pod, "status"), "conditions")
    if any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions):
        return False
    if section(budget, "spec").get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = section(budget, "status")
    wanted = int(status.get("desiredHealthy", 0))
    return wanted > 0 and int(status.get("currentHealthy", 0)) >= wanted


def _decremented(request: Request, budget: Json, pod: str) -> Json:
    meta, status = budget["metadata"], section(budget, "status")
    name = meta["name"]
    allowed = int(status.get("disruptionsAllowed", 0))
    if int(status.get("observedGeneration", 0)) < int(meta.get("generation", 0)):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if len(section(status, "disruptedPods")) > _MOST_DISRUPTED:
        raise forbidden("policy", "poddisruptionbudgets", name, "DisruptedPods map too big - too many evictions")
    if allowed <= 0:
        needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _too_many(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently")
    value = copy_json(budget)
    value["status"]["disruptionsAllowed"] = allowed - 1
    value["status"].setdefault("disruptedPods", {})[pod] = rfc3339(request.now)
    return value


def _too_many(why: str, retry_after: int = 0) -> ApiError:
    details: Json = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    return ApiError(429, "TooManyRequests", _REFUSED, details)
