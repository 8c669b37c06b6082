"""Watches of the kinds that CustomResourceDefinitions make, begun and ended with them: their objects own others, and
are owned (kubernetes `pkg/controller/garbagecollector/graph_builder.go`, syncMonitors)."""

from collections.abc import Callable

from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import DEFINITIONS, Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.controllers.core.cluster import Cluster, Shelf
from podwire.services.controllers.core.writes import Json

type Listener = Callable[[Resource, ObjectKey | None], None]


def resource_of(definition: Json) -> Resource | None:
    """Where the objects of an established definition are found, in the version in which they are stored."""
    conditions = items(section(definition, "status"), "conditions")
    if not any(entry.get("type") == "Established" and entry.get("status") == "True" for entry in conditions):
        return None
    spec, names = section(definition, "spec"), section(definition, "status", "acceptedNames")
    served = [version for version in items(spec, "versions") if version.get("served")]
    if not served:
        return None
    version = next((each for each in served if each.get("storage")), served[0])
    return Resource(spec["group"], version["name"], names["plural"], names["kind"], spec.get("scope") == "Namespaced")


class CustomKinds:
    """The watches, by resource."""

    def __init__(self, watching: Watching, cluster: Cluster, on_change: Listener) -> None:
        self._watching, self._cluster, self._listener = watching, cluster, on_change
        self._watches: dict[Resource, Watch[Json]] = {}

    def on_change(self, resource: Resource, key: ObjectKey | None) -> None:
        """Begins and ends watches when definitions change; of one that is gone an empty shelf stays."""
        if resource is not DEFINITIONS:
            return
        found = (resource_of(definition) for definition in self._cluster[DEFINITIONS].all())
        wanted = {each: None for each in found if each is not None}
        for gone in [each for each in self._watches if each not in wanted]:
            watch = self._watches.pop(gone)
            watch.end()
            watch.objects.clear()
            self._cluster[gone].note(None)
            self._listener(gone, None)
        for new in [each for each in wanted if each not in self._watches]:
            made: Watch[Json] = self._watching.watch(new, dict, self._noting(new))
            self._watches[new] = made
            self._cluster.add(Shelf(new, made.objects, made.revisions))

    def _noting(self, resource: Resource) -> Callable[[ObjectKey | None], None]:
        def on_change(key: ObjectKey | None) -> None:
            if resource in self._watches:
                self._cluster[resource].note(key)
                self._listener(resource, key)

        return on_change
