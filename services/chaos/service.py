"""The shell: watches chaos objects and pods, carries out what they ask for, writes what came of it."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.json_objects import items, section
from podwire.proto.kube.resources import Resource
from podwire.proto.subjects import ObjectKey
from podwire.services.chaos.core import clocks, experiment, names, network, pods, schedules, selecting
from podwire.services.chaos.core.kinds import DNS, EXPERIMENTS, NETWORK, POD, SCHEDULES, TIME, BadChaos, Json
from podwire.services.chaos.injection import Injection
from podwire.services.chaos.settings import ChaosSettings
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.events import About, EventRecorder
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health

USER: Final = "system:chaos-controller-manager"
_RETRY: Final = 1 * SECOND
_RESYNC: Final = 5 * SECOND
"""How often what is injected is looked at: a machine may have booted since, a pod may have another namespace."""
_CHECKS: Final = {POD: pods.check, DNS: names.check, TIME: clocks.check}
_LASTING: Final = (NETWORK, TIME)
"""Kinds whose faults are in machines, which forget them when they boot."""
type _InForce = list[tuple[Json, list[Json]]]
"""Objects that are to be injected, with their records."""
_SAID: Final = {"Run": ("Started", "Experiment has started"), "Stop": ("Deleted", "Experiment has been deleted")}


class Chaos:
    """All controllers of chaos objects. It keeps nothing: what is injected stands in the objects and the kernels."""

    def __init__(self, context: Context, settings: ChaosSettings) -> None:
        self._context = context
        self._client = ApiClient(context.bus, USER, "chaos-controller-manager")
        self._events = EventRecorder(context, self._client, "chaos-controller-manager")
        self._wake = asyncio.Event()
        self._watches: dict[Resource, Watch[Json]] = {}
        self._injection = Injection(context, self._client, settings.pause_image)
        self._refused: dict[str, str] = {}
        """What was said last about an object (by uid) that cannot be carried out."""
        self._due: int | None = None
        self._keep_at = 0
        """When (ns) what is injected is looked at again."""

    async def run(self) -> None:
        """Works until the process ends."""
        context = self._context
        serve_health(context, lambda: {kind.kind: str(len(list(self._objects(kind)))) for kind in EXPERIMENTS})
        watching = Watching(context.bus, context.clock, self._client, context.tasks)
        for resource in (resources.PODS, resources.NODES, *EXPERIMENTS, SCHEDULES):
            self._watches[resource] = watching.watch(resource, dict, self._changed)
        for watch in self._watches.values():
            await watch.synced.wait()
        while True:
            self._wake.clear()
            self._due = None
            await self._turn()
            await self._wait()

    def _changed(self, key: ObjectKey | None) -> None:
        self._wake.set()

    def _objects(self, resource: Resource) -> Iterator[Json]:
        watch = self._watches.get(resource)
        if watch is None:
            return
        for key in sorted(watch.objects):
            yield watch.objects[key] | {"kind": resource.kind}

    def _again_at(self, moment: int | None) -> None:
        if moment is not None:
            self._due = moment if self._due is None else min(self._due, moment)

    async def _wait(self) -> None:
        """Until something changes, or something is due."""
        late = None if self._due is None else max(0, self._due - self._context.clock.now_ns()) / SECOND
        try:
            await asyncio.wait_for(self._wake.wait(), late)
        except TimeoutError:
            pass

    # -- one turn

    async def _turn(self) -> None:
        if not any(True for kind in (*EXPERIMENTS, SCHEDULES) for _ in self._objects(kind)):
            return
        for resource in EXPERIMENTS:
            for chaos in list(self._objects(resource)):
                await self._try(resource, chaos, self._advance(resource, chaos))
        for schedule in list(self._objects(SCHEDULES)):
            await self._try(SCHEDULES, schedule, self._schedule(schedule))
        await self._keep()

    async def _try(self, resource: Resource, chaos: Json, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BadChaos as problem:
            self._refuse(resource, chaos, str(problem))
        except (ApiError, ApiUnavailable) as error:
            self._context.log.debug("put off", kind=resource.kind, name=chaos["metadata"]["name"], reason=str(error))
            self._again_at(self._context.clock.now_ns() + _RETRY)

    def _refuse(self, resource: Resource, chaos: Json, why: str) -> None:
        """Says once what is wrong with an object."""
        if self._refused.get(chaos["metadata"]["uid"]) != why:
            self._refused[chaos["metadata"]["uid"]] = why
            self._say(resource, chaos, "Failed", why, warning=True)

    def _say(self, resource: Resource, chaos: Json, reason: str, text: str, warning: bool = False) -> None:
        meta = chaos["metadata"]
        about = About(resource.kind, meta["namespace"], meta["name"], meta["uid"], resource.api_version)
        self._events.record(about, reason, text, warning)

    # -- experiments

    async def _advance(self, resource: Resource, chaos: Json) -> None:
        """Brings one experiment a step on."""
        now = self._context.clock.now_ns()
        wanted = experiment.desired_phase(chaos, now)
        records = experiment.records_of(chaos)
        if records is None and wanted == "Run":
            if chaos["metadata"]["uid"] in self._refused:
                return
            records = await self._select(resource, chaos)
        if wanted == "Run":
            end = experiment.ends_at(chaos)
            self._again_at(end if end is None or end > now else None)
        if records is not None and experiment.FINALIZER in items(chaos["metadata"], "finalizers"):
            records = await self._operate(resource, chaos, records, wanted)
        await self._write(resource, chaos, records, wanted)

    async def _select(self, resource: Resource, chaos: Json) -> list[Json]:
        """The records of what is selected. Raises BadChaos, once the status says that there is none."""
        try:
            return self._selected(resource, chaos)
        except BadChaos as problem:
            await self._write(resource, chaos, None, "Run")
            raise BadChaos(f"Failed to select targets: {problem}") from None

    def _selected(self, resource: Resource, chaos: Json) -> list[Json]:
        spec, namespace = chaos["spec"], chaos["metadata"]["namespace"]
        all_pods = list(self._watches[resources.PODS].objects.values())
        nodes = {key.name: node for key, node in self._watches[resources.NODES].objects.items()}
        random = self._context.random
        if resource is not NETWORK:
            _CHECKS[resource](spec)
            identifiers = pods.identifiers if resource is POD else names.identifiers
            found = identifiers(spec, selecting.select(spec, namespace, all_pods, nodes, random))
            if not found:
                raise BadChaos("no container is selected")
            return [experiment.new_record(identifier, network.SOURCE) for identifier in found]
        network.check(spec)
        sides = {network.SOURCE: spec} | ({network.TARGET: spec["target"]} if section(spec, "target") else {})
        return [
            experiment.new_record(selecting.pod_id(pod), key)
            for key, side in sides.items()
            for pod in selecting.select(side, namespace, all_pods, nodes, random)
        ]

    async def _operate(
        self, resource: Resource, chaos: Json, records: list[Json], wanted: experiment.Phase
    ) -> list[Json]:
        """The records after everything that is due was tried."""
        due = [(index, experiment.due(record, wanted)) for index, record in enumerate(records)]
        todo = [(index, operation) for index, operation in due if operation is not None]
        work = (self._one(resource, chaos, records[index], operation) for index, operation in todo)
        failures = await asyncio.gather(*work)
        result, now = list(records), self._context.clock.now_ns()
        for (index, operation), failure in zip(todo, failures, strict=True):
            record = records[index]
            if failure:
                self._again_at(now + _RETRY)
                self._say(resource, chaos, "Failed", f"Failed to {operation.lower()} chaos: {failure}", warning=True)
                if items(record, "events")[-1:] and record["events"][-1].get("message") == failure:
                    continue
            else:
                verb = "Applied" if operation == "Apply" else "Recovered"
                self._say(resource, chaos, verb, f"Successfully {operation.lower()} chaos for {record['id']}")
            result[index] = experiment.done(record, operation, now, failure)
        return result

    async def _one(self, resource: Resource, chaos: Json, record: Json, operation: experiment.Operation) -> str:
        """Why an operation failed, or ""."""
        namespace, name, *container = record["id"].split("/")
        pod = self._watches[resources.PODS].named(namespace, name)
        if pod is None:
            self._injection.forget(record["id"])
            return "" if operation == "Recover" else f'pods "{name}" not found'
        if resource in _LASTING:
            return await self._inject(resource, record["id"], pod, self._in_force(resource))
        if resource is DNS:
            return ""
        if operation == "Recover":
            return await self._injection.recover(chaos, pod)
        return await self._injection.apply(chaos, pod, "".join(container))

    async def _inject(self, resource: Resource, identifier: str, pod: Json, in_force: _InForce) -> str:
        """Makes a pod's network, or a container's clock, what all objects together want; why that failed, or ""."""
        if resource is NETWORK:
            return await self._injection.network(pod, network.wanted(identifier, in_force, self._addresses()))
        return await self._injection.clock(pod, identifier.rpartition("/")[2], clocks.wanted(identifier, in_force))

    def _in_force(self, resource: Resource) -> _InForce:
        """The objects of a kind that are to be injected, with their records."""
        found = []
        for chaos in self._objects(resource):
            records = experiment.records_of(chaos)
            try:
                running = experiment.desired_phase(chaos, self._context.clock.now_ns()) == "Run"
            except BadChaos:
                continue
            if running and records:
                found.append((chaos, records))
        return found

    def _addresses(self) -> dict[str, tuple[str, ...]]:
        return {
            selecting.pod_id(pod): tuple(str(entry["ip"]) for entry in items(section(pod, "status"), "podIPs"))
            for pod in self._watches[resources.PODS].objects.values()
        }

    async def _write(
        self, resource: Resource, chaos: Json, records: list[Json] | None, wanted: experiment.Phase
    ) -> None:
        """Writes status and finalizers where they are new."""
        status, held = experiment.status(chaos, records, wanted), experiment.finalizers(chaos, records)
        if resource is DNS:
            status["addresses"] = names.addresses(records, self._addresses())
        meta = chaos["metadata"]
        if status == section(chaos, "status") and held == items(meta, "finalizers"):
            return
        before = section(chaos, "status", "experiment").get("desiredPhase")
        key = ObjectKey(resource.group, resource.resource, meta["namespace"], meta["name"])
        revision = str(self._watches[resource].revisions.get(key, 0))
        body = {"metadata": {"resourceVersion": revision, "finalizers": held or None}, "status": status}
        await self._client.patch(resource, meta["namespace"], meta["name"], body)
        if before != wanted:
            self._say(resource, chaos, *self._transition(chaos, wanted))

    def _transition(self, chaos: Json, wanted: experiment.Phase) -> tuple[str, str]:
        if wanted == "Stop" and experiment.is_paused(chaos):
            return "Paused", "Experiment has been paused"
        if wanted == "Stop" and not experiment.is_going(chaos):
            return "TimeUp", "Time up according to the duration"
        return _SAID[wanted]

    async def _keep(self) -> None:
        """What is injected stays so: machines boot, containers start again, targets get other addresses. Looked after
        every few seconds, and not at every change of any pod."""
        now = self._context.clock.now_ns()
        if now < self._keep_at:
            self._again_at(self._keep_at)
            return
        for resource in _LASTING:
            in_force = self._in_force(resource)
            for identifier in _injected(in_force):
                self._keep_at = now + _RESYNC
                namespace, name, *_ = identifier.split("/")
                pod = self._watches[resources.PODS].named(namespace, name)
                if pod is not None:
                    await self._inject(resource, identifier, pod, in_force)
        if now < self._keep_at:
            self._again_at(self._keep_at)

    # -- schedules

    async def _schedule(self, schedule: Json) -> None:
        children = [
            child
            for resource in EXPERIMENTS
            for child in self._objects(resource)
            if schedules.schedule_uid(child) == schedule["metadata"]["uid"]
        ]
        turn = schedules.decide(schedule, children, self._context.clock.now_ns())
        self._again_at(turn.again_at)
        for body in turn.create:
            await self._create(body)
        for child in turn.delete:
            await self._delete(child)
        for reason, text in turn.says:
            self._say(SCHEDULES, schedule, reason, text)
        if turn.status is not None:
            meta = schedule["metadata"]
            await self._client.patch(SCHEDULES, meta["namespace"], meta["name"], {"status": turn.status})

    async def _create(self, body: Json) -> None:
        resource = next(each for each in EXPERIMENTS if each.kind == body["kind"])
        try:
            await self._client.create(resource, body["metadata"]["namespace"], body)
        except ApiError as error:
            if error.code != 409:
                raise

    async def _delete(self, child: Json) -> None:
        resource = next(each for each in EXPERIMENTS if each.kind == child["kind"])
        try:
            await self._client.delete(resource, child["metadata"]["namespace"], child["metadata"]["name"])
        except ApiError as error:
            if error.code != 404:
                raise


def _injected(in_force: _InForce) -> list[str]:
    """The pods or containers that have something, each once."""
    records = (record for _, records in in_force for record in records)
    return list(dict.fromkeys(str(record["id"]) for record in records if record["phase"] == experiment.INJECTED))
