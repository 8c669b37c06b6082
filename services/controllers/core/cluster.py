"""What the controllers know: the watched objects by resource, with an index by owner."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey

type Json = dict[str, Any]


class Shelf:
    """The objects of one resource. `note` keeps the index right after a change of `objects`."""

    def __init__(
        self, resource: Resource, objects: Mapping[ObjectKey, Json], revisions: Mapping[ObjectKey, int]
    ) -> None:
        self.resource, self.objects, self.revisions = resource, objects, revisions
        self._owned: dict[str, dict[ObjectKey, None]] = {}
        self._owner_of: dict[ObjectKey, str] = {}
        self._in_namespace: dict[str, dict[ObjectKey, None]] = {}

    def note(self, key: ObjectKey | None) -> None:
        """An object changed, appeared or went; None: anything may have changed."""
        if key is None:
            self._owned.clear()
            self._owner_of.clear()
            self._in_namespace.clear()
            for each in self.objects:
                self._index(each)
            return
        owner = self._owner_of.pop(key, "")
        self._owned.get(owner, {}).pop(key, None)
        self._in_namespace.get(key.namespace, {}).pop(key, None)
        if key in self.objects:
            self._index(key)

    def _index(self, key: ObjectKey) -> None:
        self._in_namespace.setdefault(key.namespace, {})[key] = None
        controller = controller_of(self.objects[key])
        if controller:
            self._owner_of[key] = controller["uid"]
            self._owned.setdefault(controller["uid"], {})[key] = None

    def key(self, namespace: str, name: str) -> ObjectKey:
        """The key of a name."""
        return ObjectKey(self.resource.group, self.resource.resource, namespace, name)

    def get(self, namespace: str, name: str) -> Json | None:
        """One object."""
        return self.objects.get(self.key(namespace, name))

    def revision(self, value: Json) -> int:
        """The revision at which an object was seen."""
        meta = value["metadata"]
        return self.revisions.get(self.key(meta.get("namespace", ""), meta["name"]), 0)

    def owned_by(self, uid: str) -> list[Json]:
        """Objects whose controller has this uid, by name."""
        return [self.objects[key] for key in sorted(self._owned.get(uid, ())) if key in self.objects]

    def in_namespace(self, namespace: str) -> list[Json]:
        """Objects of a namespace, by name."""
        return [self.objects[key] for key in sorted(self._in_namespace.get(namespace, ())) if key in self.objects]

    def all(self) -> Iterator[Json]:
        """Every object, by namespace and name."""
        return (self.objects[key] for key in sorted(self.objects))


NOTHING: Final[Json] = {}


def controller_of(value: Json) -> Json:
    """The owner reference of an object's controller, or an empty one."""
    for owner in items(section(value, "metadata"), "ownerReferences"):
        if owner.get("controller"):
            found: Json = owner
            return found
    return NOTHING


def owner_reference(resource: Resource, owner: Json) -> Json:
    """The reference that makes an object the controller of another."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_going(value: Json) -> bool:
    """Whether an object is being deleted."""
    return bool(section(value, "metadata").get("deletionTimestamp"))


class Cluster:
    """All shelves."""

    def __init__(self) -> None:
        self.shelves: dict[Resource, Shelf] = {}

    def __getitem__(self, resource: Resource) -> Shelf:
        return self.shelves[resource]

    def add(self, shelf: Shelf) -> None:
        """Takes in one resource's objects."""
        self.shelves[shelf.resource] = shelf
