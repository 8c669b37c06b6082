"""Feeds the fold of the cluster from watches: an index is changed where an object changed."""

from collections.abc import Callable

from podwire.proto.kube import resources
from podwire.proto.kube.chaos import DNS_CHAOS, DnsChaos
from podwire.proto.kube.meta import Namespace
from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.coredns.core.cluster import Cluster


class Watched:
    """The watches of a CoreDNS: of pods only where the Corefile asks for their names."""

    def __init__(self, watching: Watching, cluster: Cluster) -> None:
        self._watching, self._cluster = watching, cluster
        self._watches: dict[str, Watch[object]] = {}
        self._experiments: Watch[DnsChaos] | None = None

    def start(self, *, pods: bool) -> None:
        """Opens what is not yet open."""
        cluster = self._cluster
        self._follow(resources.NAMESPACES, Namespace, cluster.set_namespace)
        self._follow(resources.SERVICES, Service, cluster.set_service)
        self._follow(resources.ENDPOINT_SLICES, EndpointSlice, cluster.set_slice)
        if pods:
            self._follow(resources.PODS, Pod, cluster.set_pod)
        if self._experiments is None:
            self._experiments = self._watching.watch(DNS_CHAOS, DnsChaos, self._experiment_changed)

    def _experiment_changed(self, key: ObjectKey | None) -> None:
        """Experiments hold up nobody: their kind may not be there."""
        objects = self._experiments.objects if self._experiments is not None else {}
        for each in (key,) if key is not None else (*self._cluster.experiments, *objects):
            self._cluster.set_experiment(each, objects.get(each))

    def _follow[T](self, resource: Resource, view: type[T], put: Callable[[ObjectKey, T | None], None]) -> None:
        if resource.resource in self._watches:
            return
        known: dict[ObjectKey, None] = {}

        def changed(key: ObjectKey | None) -> None:
            for each in (key,) if key is not None else (*known, *watch.objects):
                now = watch.objects.get(each)
                put(each, now)
                known.pop(each, None)
                if now is not None:
                    known[each] = None
            self._cluster.serial = max(self._cluster.serial, watch.revision)
            self._cluster.synced = all(entry.synced.is_set() for entry in self._watches.values())

        watch = self._watching.watch(resource, view, changed)
        self._watches[resource.resource] = watch  # type: ignore[assignment]  # only `synced` is read of it

    async def until_synced(self) -> None:
        """Returns when everything that is watched is known."""
        for entry in self._watches.values():
            await entry.synced.wait()
