"""The controllers' shell: one watch a resource, one loop a controller."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.controllers.collector import Collector
from podwire.services.controllers.core.cluster import Cluster, Shelf
from podwire.services.controllers.core.writes import Json
from podwire.services.controllers.custom_kinds import CustomKinds
from podwire.services.controllers.hand import Hand
from podwire.services.controllers.loop import Loop
from podwire.services.controllers.namespace_end import NamespaceEnd
from podwire.services.controllers.settings import ControllersSettings
from podwire.services.controllers.table import controllers

USER: Final = "system:kube-controllers"
WATCHED: Final = (
    resources.NAMESPACES,
    resources.NODES,
    resources.PODS,
    resources.SERVICES,
    resources.ENDPOINTS,
    resources.ENDPOINT_SLICES,
    resources.CONFIG_MAPS,
    resources.SECRETS,
    resources.SERVICE_ACCOUNTS,
    resources.EVENTS,
    resources.LEASES,
    resources.DEPLOYMENTS,
    resources.REPLICA_SETS,
    resources.DAEMON_SETS,
    resources.IP_ADDRESSES,
    resources.STATEFUL_SETS,
    resources.CONTROLLER_REVISIONS,
    resources.JOBS,
    resources.CRON_JOBS,
    resources.DISRUPTION_BUDGETS,
    resources.AUTOSCALERS,
    resources.VOLUMES,
    resources.VOLUME_CLAIMS,
    resources.STORAGE_CLASSES,
    resources.DEFINITIONS,
)


class Controllers:
    """All controllers in one process."""

    def __init__(self, context: Context, settings: ControllersSettings) -> None:
        self._context, self._settings = context, settings
        self._client = ApiClient(context.bus, USER, "kube-controller-manager")
        self._cluster = Cluster()
        self._watches: dict[Resource, Watch[Json]] = {}
        self._loops: dict[str, Loop] = {}
        self._collector = Collector(self._client, self._cluster)
        self._namespace_end = NamespaceEnd(self._client, self._cluster)

    async def run(self) -> None:
        """Works until cancelled."""
        serve_health(self._context, self._facts)
        self._watch()
        for controller in controllers(self._root_ca(), self._settings.cluster_cidr):
            hand = Hand(self._client, controller.name)
            loop = Loop(self._context, controller, self._cluster, self._watches, hand)
            self._loops[controller.name] = loop
        for watch in self._watches.values():
            await watch.synced.wait()
        self._context.log.info("watching", resources=len(self._watches))
        for name, loop in self._loops.items():
            self._start(name, loop)
        self._context.tasks.start(self._collector.run(), name="garbage-collector")
        await self._namespace_end.run()

    def _root_ca(self) -> str:
        return Path(self._settings.root_ca_file).read_text() if self._settings.root_ca_file else ""

    def _start(self, name: str, loop: Loop) -> None:
        for resource in WATCHED:
            loop.on_change(resource, None)
        self._context.tasks.start(loop.run(), name=name)

    def _watch(self) -> None:
        context = self._context
        watching = Watching(context.bus, context.clock, self._client, context.tasks)
        self._custom_kinds = CustomKinds(watching, self._cluster, self._collector.on_change)
        for resource in WATCHED:
            watch: Watch[Json] = watching.watch(resource, dict, self._listener(resource))
            self._watches[resource] = watch
            self._cluster.add(Shelf(resource, watch.objects, watch.revisions))

    def _listener(self, resource: Resource) -> Callable[[ObjectKey | None], None]:
        def on_change(key: ObjectKey | None) -> None:
            self._cluster[resource].note(key)
            for loop in self._loops.values():
                loop.on_change(resource, key)
            self._collector.on_change(resource, key)
            self._namespace_end.on_change(resource, key)
            self._custom_kinds.on_change(resource, key)

        return on_change

    def _facts(self) -> dict[str, str]:
        return {name: str(loop.carried_out) for name, loop in self._loops.items()}
