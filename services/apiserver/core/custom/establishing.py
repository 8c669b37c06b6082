"""What becomes of CustomResourceDefinitions: their names are accepted, they are established, and cleaned up after.

Source: apiextensions-apiserver `pkg/controller/status/naming_controller.go`, `pkg/controller/establish`,
`pkg/controller/finalizer/crd_finalizer.go`.
"""

from typing import Any, Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.times import rfc3339
from podwire.proto.messages.api import ApiRequest
from podwire.services.apiserver.core.custom.definition import (
    CLEANUP,
    STORAGE,
    condition,
    is_established,
    storage_version,
)
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.store import Store

PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_RESOURCES: Final = ("plural", "singular")
_KINDS: Final = ("kind", "listKind")


def due(store: Store, now: int) -> list[ApiRequest]:
    """The requests that bring definitions on; none when all is done."""
    found: list[ApiRequest] = []
    for crd in store.objects(STORAGE):
        if crd["metadata"].get("deletionTimestamp"):
            found += _cleanup(crd, store)
        elif status := _accepted(crd, store, now):
            body = crd | {"status": status}
            found.append(_request("PUT", f"{PATH}/{crd['metadata']['name']}/status", body))
            break  # the next one's names depend on these
    return found


def _request(method: str, path: str, body: Json) -> ApiRequest:
    content = "application/merge-patch+json" if method == "PATCH" else "application/json"
    return ApiRequest(method=method, path=path, body=to_json(body), content_type=content)


def _accepted(crd: Json, store: Store, now: int) -> Json | None:
    """The status with the names that are accepted; None when it says so already."""
    status = copy_json(section(crd, "status"))
    wanted, accepted = crd["spec"]["names"], section(status, "acceptedNames")
    taken = _taken(crd, store)
    conflict: tuple[str, str] | None = None
    for name in (*_RESOURCES, "shortNames", *_KINDS):
        used = taken[1] if name in _KINDS else taken[0]
        clashes = [entry for entry in _listed(wanted.get(name)) if entry in used]
        if not clashes:
            accepted = _with(accepted, name, wanted.get(name))
        elif conflict is None or name != "shortNames":
            reason = name[0].upper() + name[1:] + "Conflict"
            conflict = (reason, ", ".join(f'"{entry}" is already in use' for entry in clashes))
    status["acceptedNames"] = _with(accepted, "categories", wanted.get("categories"))
    _conclude(status, conflict, is_established(crd), now)
    return None if status == crd.get("status") else status


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _with(names: Json, name: str, value: Any) -> Json:
    rest = {key: entry for key, entry in names.items() if key != name}
    return rest | {name: value} if value else rest


def _conclude(status: Json, conflict: tuple[str, str] | None, established: bool, now: int) -> None:
    if conflict is None:
        set_condition(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
        text = "the initial names have been accepted"
        set_condition(status, "Established", "True", "InitialNamesAccepted", text, now)
        return
    set_condition(status, "NamesAccepted", "False", *conflict, now)
    if not established:
        set_condition(status, "Established", "False", "NotAccepted", "not all names are accepted", now)


def set_condition(status: Json, kind: str, value: str, reason: str, message: str, now: int) -> None:
    """Sets a condition; the time of its transition is kept where its status is (SetCRDCondition)."""
    conditions = items(status, "conditions")
    known: Json = next((entry for entry in conditions if entry.get("type") == kind), {})
    since = known.get("lastTransitionTime") if known.get("status") == value else rfc3339(now)
    made = {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
    place = conditions.index(known) if known else len(conditions)
    status["conditions"] = [*conditions[:place], made, *conditions[place + 1 :]]


def _taken(crd: Json, store: Store) -> tuple[list[str], list[str]]:
    """The accepted names of the group's other definitions: of resources, and of kinds."""
    resources: list[str] = []
    kinds: list[str] = []
    for other in store.objects(STORAGE):
        if other["spec"]["group"] != crd["spec"]["group"] or other["metadata"]["name"] == crd["metadata"]["name"]:
            continue
        names = section(other, "status", "acceptedNames")
        resources += [entry for name in (*_RESOURCES, "shortNames") for entry in _listed(names.get(name))]
        kinds += [entry for name in _KINDS for entry in _listed(names.get(name))]
    return resources, kinds


def _cleanup(crd: Json, store: Store) -> list[ApiRequest]:
    """Deletes a definition's objects, and lets it go once there are none."""
    finalizers = items(crd["metadata"], "finalizers")
    if CLEANUP not in finalizers:
        return []
    spec = crd["spec"]
    left = store.objects((spec["group"], spec["names"]["plural"])) if is_established(crd) else []
    if not left:
        rest = [entry for entry in finalizers if entry != CLEANUP]
        return [_request("PATCH", f"{PATH}/{crd['metadata']['name']}", {"metadata": {"finalizers": rest}})]
    root = f"/apis/{spec['group']}/{_served_version(spec)}"
    waiting = [value for value in left if not value["metadata"].get("deletionTimestamp")]
    namespaces = dict.fromkeys(value["metadata"].get("namespace", "") for value in waiting)
    return [
        _request("DELETE", "/".join((root, *(("namespaces", name) if name else ()), spec["names"]["plural"])), {})
        for name in namespaces
    ]


def _served_version(spec: Json) -> str:
    """A version through which the objects can be reached."""
    served = [version["name"] for version in items(spec, "versions") if version.get("served")]
    stored = storage_version(spec)
    return stored if stored in served or not served else str(served[0])


def begin_deletion(crd: Json, now: int) -> None:
    """A definition that is deleted waits for its objects (`pkg/registry/customresourcedefinition/etcd.go`)."""
    meta = crd["metadata"]
    if CLEANUP not in items(meta, "finalizers"):
        meta["finalizers"] = [*items(meta, "finalizers"), CLEANUP]
    if condition(crd, "Terminating").get("status") != "True":
        text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        status = crd.setdefault("status", {})
        set_condition(status, "Terminating", "True", "InstanceDeletionPending", text, now)
