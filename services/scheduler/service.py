"""The scheduler's shell: watches nodes and pods, binds one pod after the other, says why it cannot."""

import asyncio
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import Resource
from podwire.proto.kube.times import rfc3339
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.chance import hexadecimal
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.scheduler.core.choice import Chosen, choose, is_pending, queue_order, takes_room
from podwire.services.scheduler.core.volumes import SELECTED_NODE, Storage, unselected
from podwire.services.scheduler.settings import SchedulerSettings

type Json = dict[str, Any]

USER: Final = "system:kube-scheduler"
_RETRY: Final = 0.2
_STORAGE: Final = (resources.VOLUME_CLAIMS, resources.VOLUMES, resources.STORAGE_CLASSES)
_ASSUMED_FOR: Final = 30 * SECOND


class Scheduler:
    """One scheduler; bindings that its watch does not show yet are assumed."""

    def __init__(self, context: Context, settings: SchedulerSettings) -> None:
        self._context, self._settings = context, settings
        self._client = ApiClient(context.bus, USER, "kube-scheduler")
        self._due = asyncio.Event()
        self._pods: Watch[Json] | None = None
        self._nodes: Watch[Json] | None = None
        self._storage: dict[Resource, Watch[Json]] = {}
        self._assumed: dict[str, tuple[Json, str, int]] = {}
        """By pod uid: the pod, its node, and until when that is believed without being seen."""
        self._said: dict[str, str] = {}
        self._bound = 0

    async def run(self) -> None:
        """Schedules until cancelled."""
        serve_health(self._context, lambda: {"bound": str(self._bound), "assumed": str(len(self._assumed))})
        context = self._context
        watching = Watching(context.bus, context.clock, self._client, context.tasks)
        self._pods = watching.watch(resources.PODS, dict, self._on_change)
        self._nodes = watching.watch(resources.NODES, dict, self._on_change)
        for resource in _STORAGE:
            self._storage[resource] = watching.watch(resource, dict, self._on_change)
        while True:
            await self._due.wait()
            await self._pods.synced.wait()
            await self._nodes.synced.wait()
            for watch in self._storage.values():
                await watch.synced.wait()
            self._due.clear()
            await self._schedule_all(self._pods, self._nodes)

    def _on_change(self, key: ObjectKey | None) -> None:
        self._due.set()

    async def _schedule_all(self, pods: Watch[Json], nodes: Watch[Json]) -> None:
        self._forget_seen(pods)
        everything = [pods.objects[key] for key in sorted(pods.objects)]
        pending = [pod for pod in everything if is_pending(pod, self._settings.scheduler_name)]
        waiting = [pod for pod in pending if pod["metadata"]["uid"] not in self._assumed]
        on_node = self._pods_on(everything)
        known = [nodes.objects[key] for key in sorted(nodes.objects)]
        for pod in sorted(waiting, key=queue_order):
            chosen = choose(pod, known, on_node, self._context.random, self._known_storage())
            if not chosen.node:
                await self._say_unschedulable(pod, chosen)
            elif chosen.waiting:
                await self._select_node(chosen)
            elif await self._bind(pod, chosen.node):
                on_node.setdefault(chosen.node, []).append(pod)

    def _forget_seen(self, pods: Watch[Json]) -> None:
        now = self._context.clock.now_ns()
        present = {pod["metadata"]["uid"]: pod for pod in pods.objects.values()}
        self._assumed = {
            uid: entry
            for uid, entry in self._assumed.items()
            if uid in present and not section(present[uid], "spec").get("nodeName") and entry[2] > now
        }
        self._said = {uid: text for uid, text in self._said.items() if uid in present}

    def _pods_on(self, pods: list[Json]) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for pod in pods:
            node = section(pod, "spec").get("nodeName")
            if node and takes_room(pod):
                found.setdefault(node, []).append(pod)
        for pod, node, _ in self._assumed.values():
            found.setdefault(node, []).append(pod)
        return found

    def _known_storage(self) -> Storage:
        claims = self._storage[resources.VOLUME_CLAIMS].objects
        return Storage(
            {(key.namespace, key.name): claim for key, claim in claims.items()},
            {key.name: volume for key, volume in self._storage[resources.VOLUMES].objects.items()},
            {key.name: value for key, value in self._storage[resources.STORAGE_CLASSES].objects.items()},
        )

    async def _select_node(self, chosen: Chosen) -> None:
        """Tells the pod's claims the node; the pod is looked at again when they change."""
        for claim in unselected(chosen.waiting):
            meta = claim["metadata"]
            body = {"metadata": {"annotations": {SELECTED_NODE: chosen.node}}}
            try:
                await self._client.patch(resources.VOLUME_CLAIMS, meta["namespace"], meta["name"], body)
            except (ApiError, ApiUnavailable) as error:
                self._context.log.info("a claim was not told its node", claim=meta["name"], reason=str(error))
                self._due.set()
                await asyncio.sleep(_RETRY)

    async def _bind(self, pod: Json, node: str) -> bool:
        """Asks until the outcome is known; a refusal leaves the pod to the next round, which comes soon: the
        log may have told us of the pod before the API server's own fold had it."""
        meta = pod["metadata"]
        path = resources.PODS.path(meta["namespace"], meta["name"], "binding")
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        while True:
            try:
                await self._client.call("POST", path, body)
            except ApiUnavailable:
                await asyncio.sleep(_RETRY)
            except ApiError as error:
                self._context.log.info("a binding was refused", pod=meta["name"], node=node, reason=str(error))
                asyncio.get_running_loop().call_later(_RETRY, self._due.set)
                return False
            else:
                break
        self._assumed[meta["uid"]] = (pod, node, self._context.clock.now_ns() + _ASSUMED_FOR)
        self._said.pop(meta["uid"], None)
        self._bound += 1
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._context.tasks.start(self._event(pod, "Normal", "Scheduled", text), name="event")
        return True

    async def _say_unschedulable(self, pod: Json, chosen: Chosen) -> None:
        """The PodScheduled condition and an Event, once for each message."""
        meta = pod["metadata"]
        if self._said.get(meta["uid"]) == chosen.message:
            return
        self._said[meta["uid"]] = chosen.message
        others = [entry for entry in items(section(pod, "status"), "conditions") if entry["type"] != "PodScheduled"]
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": chosen.message,
            "lastTransitionTime": rfc3339(self._context.clock.now_ns()),
        }
        body = {"status": {"conditions": [*others, condition]}}
        try:
            await self._client.patch(resources.PODS, meta["namespace"], meta["name"], body, "status")
        except (ApiError, ApiUnavailable) as error:
            self._context.log.info("a condition was not written", pod=meta["name"], reason=str(error))
            self._said.pop(meta["uid"], None)
        await self._event(pod, "Warning", "FailedScheduling", chosen.message)

    async def _event(self, pod: Json, kind: str, reason: str, message: str) -> None:
        meta, moment = pod["metadata"], rfc3339(self._context.clock.now_ns())
        body = {
            "metadata": {"name": f"{meta['name']}.{hexadecimal(self._context.random, 16)}"},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": self._settings.scheduler_name},
            "reportingComponent": self._settings.scheduler_name,
            "reportingInstance": "",
        }
        try:
            await self._client.create(resources.EVENTS, meta["namespace"], body)
        except (ApiError, ApiUnavailable) as error:
            self._context.log.debug("an event was not written", reason=str(error))
