"""What the server adds to new objects from what else is in the cluster (the mutating admission plugins).

Source: kubernetes `plugin/pkg/admission/{priority,storage/storageclass/setdefault,defaulttolerationseconds}`.
"""

from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import service_accounts
from podwire.services.apiserver.core.defaults import pods as pod_defaults
from podwire.services.apiserver.core.errors import forbidden
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.request import Request
from podwire.services.apiserver.core.times import parse_time
from podwire.services.apiserver.core.validation.cluster import SYSTEM_PRIORITIES

_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_PRIORITIES: Final = ("scheduling.k8s.io", "priorityclasses")


def admit(request: Request, value: Json) -> None:
    """Changes a new object. Raises ApiError 403 for what it refers to and is not there."""
    if request.kind.resource == "pods":
        pod_defaults.pod_admission(value)
        _priority(request, value)
        service_accounts.admit(request, value)
    elif request.kind.resource == "persistentvolumeclaims":
        _storage_class(request, value)


def _priority(request: Request, pod: Json) -> None:
    """The number behind a pod's priority class, and whether it may push others out."""
    spec = pod["spec"]
    name = spec.get("priorityClassName", "")
    found = _priority_class(request, name)
    if found is None and name:
        raise forbidden("", "pods", pod["metadata"].get("name", ""), f"no PriorityClass with name {name} was found")
    if found is not None and not name:
        spec["priorityClassName"] = found["metadata"]["name"]
    spec["priority"] = found.get("value", 0) if found is not None else 0
    default = "PreemptLowerPriority"
    spec.setdefault("preemptionPolicy", found.get("preemptionPolicy", default) if found is not None else default)


def _priority_class(request: Request, name: str) -> Json | None:
    """The named class; without a name the global default of the lowest value, if there is one.

    The system's own classes hold before their objects are written (a cluster's first pods come with its first objects).
    """
    if name in SYSTEM_PRIORITIES:
        return {"metadata": {"name": name}, "value": SYSTEM_PRIORITIES[name]}
    if name:
        return request.store.get(ObjectKey(*_PRIORITIES, "", name))
    defaults = [value for value in request.store.objects(_PRIORITIES) if value.get("globalDefault")]
    return min(defaults, key=lambda value: int(value.get("value", 0)), default=None)


def _storage_class(request: Request, claim: Json) -> None:
    """A claim that names no class gets the newest default one."""
    spec = section(claim, "spec")
    if "storageClassName" in spec or spec.get("dataSource"):
        return
    classes = request.store.objects(("storage.k8s.io", "storageclasses"))
    defaults = [value for value in classes if section(value, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"]
    if defaults:
        newest = max(defaults, key=lambda value: parse_time(value["metadata"].get("creationTimestamp")) or 0)
        spec["storageClassName"] = newest["metadata"]["name"]
