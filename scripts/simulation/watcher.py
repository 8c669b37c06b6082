"""A client that watches all along, as any controller does, and checks that revisions only grow."""

from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.meta import ConfigMap
from podwire.proto.kube.network import EndpointSlice
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.watch import Watch, Watching

_WATCHED: Final = (
    (resources.PODS, Pod),
    (resources.ENDPOINT_SLICES, EndpointSlice),
    (resources.CONFIG_MAPS, ConfigMap),
)


class Watcher:
    """Watches of some resources. `shrunk` has one line for each revision that was not newer than the last."""

    def __init__(self, watching: Watching) -> None:
        self.shrunk: list[str] = []
        self._watches: dict[str, tuple[Resource, Watch]] = {}  # type: ignore[type-arg]  # of several views
        self._newest: dict[ObjectKey, int] = {}
        for resource, view in _WATCHED:
            name = resource.resource
            watch = watching.watch(resource, view, lambda key, name=name: self._changed(name, key))  # type: ignore[misc]  # mypy cannot type a lambda's default
            self._watches[name] = (resource, watch)

    def resource(self, name: str) -> Resource:
        """The watched resource of that name."""
        return self._watches[name][0]

    def revisions(self) -> dict[str, dict[str, int]]:
        """Of each resource, the revision of each object by `namespace/name`."""
        return {
            name: {f"{key.namespace}/{key.name}".lstrip("/"): revision for key, revision in watch.revisions.items()}
            for name, (_, watch) in self._watches.items()
        }

    def _changed(self, name: str, key: ObjectKey | None) -> None:
        if key is None:
            return
        revision = self._watches[name][1].revisions.get(key)
        if revision is None:
            self._newest.pop(key, None)
            return
        if revision <= self._newest.get(key, 0):
            self.shrunk.append(f"{'/'.join(key)} went from {self._newest[key]} to {revision}")
        self._newest[key] = revision
