"""Writes that controllers ask for. Each is safe to repeat: named creations, conditional patches, deletions by uid."""

from dataclasses import dataclass, field
from typing import Any

from podwire.proto.kube.resources import EVENTS, Resource

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """A new object, under a name chosen here, so that trying again cannot make two."""

    resource: Resource
    body: Json

    @property
    def namespace(self) -> str:
        """The namespace of the new object."""
        return str(self.body["metadata"].get("namespace", ""))


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch, refused if the object is no longer at `revision` (0: whatever it is at)."""

    resource: Resource
    namespace: str
    name: str
    body: Json
    subresource: str = ""
    revision: int = 0

    @property
    def target(self) -> tuple[Resource, str, str]:
        """Which object is patched."""
        return self.resource, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Delete:
    """A deletion of exactly this object."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Finalize:
    """The end of a namespace."""

    name: str


type Write = Create | Patch | Delete | Finalize


@dataclass(frozen=True, slots=True)
class About:
    """What an Event is about and who says it."""

    component: str
    value: Json
    api_version: str
    kind: str


@dataclass(slots=True)
class Plan:
    """The writes of one decision, and when to look again although nothing changes (ns since the epoch; 0: never).

    Writes are carried out beside each other, so one object is patched once at most; what is left follows next time.
    """

    writes: list[Write] = field(default_factory=list)
    look_again: int = 0

    def patch(self, patch: Patch) -> bool:
        """Plans a patch unless the object is being patched already; whether it did."""
        if any(isinstance(write, Patch) and write.target == patch.target for write in self.writes):
            return False
        self.writes.append(patch)
        return True

    def again_at(self, moment: int) -> None:
        """Looks again at the earliest of the moments given (0: no moment)."""
        if moment:
            self.look_again = min(self.look_again, moment) if self.look_again else moment


def event(about: About, suffix: str, timestamp: str, reason: str, message: str, kind: str = "Normal") -> Create:
    """An Event; cluster-scoped objects' events are in `default`."""
    meta = about.value["metadata"]
    namespace = meta.get("namespace") or "default"
    body = {
        "metadata": {"name": f"{meta['name']}.{suffix}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "name": meta["name"],
            "namespace": meta.get("namespace", ""),
            "uid": meta.get("uid", ""),
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": timestamp,
        "lastTimestamp": timestamp,
        "source": {"component": about.component},
        "reportingComponent": about.component,
        "reportingInstance": "",
    }
    return Create(EVENTS, body)
