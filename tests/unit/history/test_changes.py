"""One line of history: who did what, and which fields became what."""

from typing import Any

from podwire.proto.messages.events import Change as Kind
from podwire.proto.messages.events import ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.scripts.history.changes import Change, change, fields_changed
from podwire.scripts.history.choosing import Filter
from podwire.services.apiserver.core.json_types import pack
from podwire.services.chassis.eventlog.log import StoredEvent

KEY = ObjectKey("apps", "deployments", "default", "web")
BEFORE = {"metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 2}}


def event(kind: Kind, value: Any, before: Any = None, key: ObjectKey = KEY, manager: str = "kubectl") -> StoredEvent:
    written = ObjectEvent(
        change=kind, write_id="", previous=0, actor="alice", time=1_700_000_000_250_000_000, manager=manager,
        object=pack(value), before=pack(before),
    )  # fmt: skip  # one event
    return StoredEvent(7, key, written)


def paths(before: Any, after: Any) -> list[str]:
    return [str(each) for each in fields_changed(before, after)]


def test_a_change_tells_revision_time_writer_and_fields() -> None:
    after = {"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 3}}
    told = change(event("MODIFIED", after, BEFORE))
    assert (told.revision, told.clock, told.by) == (7, "2023-11-14T22:13:20.250Z", "alice (kubectl)")
    assert (told.verb, told.target) == ("update", "deployments.apps default/web")
    assert told.summary() == "spec.replicas 2 -> 3"


def test_what_was_done_is_read_from_the_object() -> None:
    applied = BEFORE | {"metadata": {"name": "web", "managedFields": [{"manager": "x", "operation": "Apply"}]}}
    status = BEFORE | {"status": {"replicas": 2}}
    assert change(event("ADDED", BEFORE)).verb == "create"
    assert change(event("MODIFIED", applied, BEFORE)).verb == "apply"
    assert change(event("MODIFIED", status, BEFORE)).verb == "update status"
    assert change(event("DELETED", BEFORE, BEFORE)).verb == "delete"


def test_an_object_that_a_controller_made_names_it() -> None:
    owned = {"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]}}
    assert change(event("ADDED", owned)).summary() == "for ReplicaSet/web-1"


def test_a_nodes_own_writer_has_no_second_name() -> None:
    assert change(event("ADDED", BEFORE, manager="")).by == "alice"


def test_members_of_lists_are_matched_by_what_names_them() -> None:
    before = {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]}
    after = {"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]}
    assert paths(before, after) == ["conditions[Ready].status False -> True"]
    assert paths({"args": ["a", "b"]}, {"args": ["a", "c", "d"]}) == ["args[1] b -> c", "args[2] none -> d"]


def test_names_with_dots_are_bracketed_and_long_values_cut() -> None:
    (told,) = paths({"annotations": {}}, {"annotations": {"a.b/c": "x" * 50}})
    assert told == f"annotations[a.b/c] none -> {'x' * 39}…"


def test_a_long_list_of_fields_is_counted() -> None:
    after = {"metadata": {"name": "web"}, "spec": dict.fromkeys("abcde", 1)}
    assert change(event("MODIFIED", after, BEFORE)).summary().endswith("; and 3 more")


def taken(wanted: Filter, stored: StoredEvent) -> bool:
    return wanted.may_take(stored) and wanted.takes(change(stored))


def test_filters_take_what_they_name() -> None:
    stored = event("ADDED", BEFORE)
    lease = event("ADDED", BEFORE, key=ObjectKey("coordination.k8s.io", "leases", "kube-node-lease", "node-1"))
    assert taken(Filter(), stored)
    assert taken(Filter("default", (("apps", "deployments"),), "w*", "kube*"), stored)
    assert taken(Filter(by="alice"), stored)
    for refusing in (
        Filter("other"),
        Filter(storages=(("", "pods"),)),
        Filter(name="x*"),
        Filter(by="bob"),
        Filter(since=1_700_000_001_000_000_000),
    ):
        assert not taken(refusing, stored)
    assert not taken(Filter(), lease)
    assert taken(Filter(storages=(("coordination.k8s.io", "leases"),)), lease)


def test_a_change_is_plain_json() -> None:
    value = change(event("MODIFIED", BEFORE | {"spec": {"replicas": None}}, BEFORE)).as_json()
    assert value["fields"] == [{"path": "spec.replicas", "before": 2, "after": None}]
    assert value["time"] == "2023-11-14T22:13:20.250Z" and isinstance(change(event("ADDED", {})), Change)
