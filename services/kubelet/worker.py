"""One pod's worker: decides, acts, reports, and waits for something to change."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Container as ContainerSpec
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec, runtime
from podwire.services.chassis.api.client import STRATEGIC_MERGE_PATCH, ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.events import About, EventRecorder
from podwire.services.chassis.api.watch import Watch
from podwire.services.chassis.context import Context
from podwire.services.kubelet.claims import component_of, offer
from podwire.services.kubelet.core import decide as act
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.environment import (
    CannotConfigure,
    References,
    check_ports,
    environment,
    mounts,
    pod_folder,
    sandbox_config,
    volume_files,
    volume_folder,
)
from podwire.services.kubelet.core.probes import Kind
from podwire.services.kubelet.core.status import Observed, Waiting, pod_status
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.prober import Prober
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed
from podwire.services.kubelet.settings import KubeletSettings

_RETRY: Final = 0.25
_SOONEST_RETRY: Final = 0.05
_LATER_RETRY: Final = 2.0
_MANY_FAILURES: Final = 20
_RECHECK: Final = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all workers of a kubelet share."""

    context: Context
    settings: KubeletSettings
    client: ApiClient
    runtime: RuntimeClient
    lifecycle: PodLifecycle
    events: EventRecorder
    backoff: Backoff
    services: Watch[Service]


class PodWorker:
    """Brings one pod's containers to what its object says. `is_static` pods have no object that is deleted."""

    def __init__(self, around: Surroundings, pod: Pod, is_static: bool = False) -> None:
        self.pod = pod
        self.gone = False
        self.finished = False
        self.is_static = is_static
        self.mirror_uid = "" if is_static else pod.metadata.uid
        self._around = around
        self._uid = pod.metadata.uid
        self._wake = asyncio.Event()
        self._waiting: dict[str, Waiting] = {}
        self._started_at = around.context.clock.now_ns()
        self._reported: dict[str, Any] | None = None
        self._stopping: dict[str, None] = {}
        self._failures = 0
        self._prober = Prober(around.context, around.runtime, self._wake.set, self._probe_failed)

    def update(self, pod: Pod | None) -> None:
        """The object changed (None: it is gone)."""
        if pod is None:
            self.gone = True
        else:
            self.pod = pod
        self._wake.set()

    def wake(self) -> None:
        """Something that the decision depends on changed."""
        self._wake.set()

    @property
    def _terminating(self) -> bool:
        return self.gone or self.pod.metadata.deletion_timestamp is not None

    def _held(self) -> act.RuntimePod:
        return self._around.lifecycle.pods.get(self._uid, act.RuntimePod())

    async def run(self) -> None:
        """Works until the pod is gone from the machine."""
        await self._around.lifecycle.listed.wait()
        while (pause := await self._step()) is not None:
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                pass
        self._prober.stop()
        self._around.backoff.forget(self._uid)

    async def _step(self) -> float | None:
        """Decides and acts until there is nothing left to do now; the seconds until the next look, None at the end."""
        while True:
            self._wake.clear()
            self._follow_probes()
            now = self._around.context.clock.now_ns()
            actions = act.decide(
                self.pod, self._held(), self._around.backoff, self._unhealthy(), self._terminating, now
            )
            waits = [entry for entry in actions if isinstance(entry, act.WaitUntil)]
            self._note_waits(waits)
            reported = await self._report()
            doing = [entry for entry in actions if not isinstance(entry, act.WaitUntil) and not self._in_hand(entry)]
            if not doing:
                pause = min((act.seconds_until(entry.time, now) for entry in waits), default=_RECHECK)
                return pause if reported else min(pause, _RETRY)
            if not await self._perform_all(doing):
                await self._report()
                await self._pause_after_failure()
                continue
            self._failures = 0
            if self.finished:
                return None
            await self._around.lifecycle.refresh()

    async def _pause_after_failure(self) -> None:
        """Longer after many, and not cut short: what a failed attempt itself changed on the machine wakes us."""
        self._failures += 1
        soon = min(_SOONEST_RETRY * self._failures, _RETRY)
        await asyncio.sleep(soon if self._failures < _MANY_FAILURES else _LATER_RETRY)

    def _in_hand(self, action: act.Action) -> bool:
        """A stop that was asked for takes its grace; it is asked for again only after a restart of the kubelet."""
        return isinstance(action, act.StopContainer) and action.container in self._stopping

    def _note_waits(self, waits: list[act.WaitUntil]) -> None:
        held = self._held()
        for name in list(self._waiting):
            newest = held.newest(name)
            if newest is not None and newest.state == "RUNNING":
                del self._waiting[name]
        for entry in waits:
            delay = self._around.backoff.delay(act.backoff_key(self.pod, entry.name)) // 1_000_000_000
            place = f"{self.pod.metadata.name}_{self.pod.metadata.namespace}({self._uid})"
            text = f"back-off {_duration(delay)} restarting failed container={entry.name} pod={place}"
            if self._waiting.get(entry.name) != Waiting("CrashLoopBackOff", text):
                self._event("BackOff", f"Back-off restarting failed container {entry.name} in pod {place}", True)
            self._waiting[entry.name] = Waiting("CrashLoopBackOff", text)

    # -- probes

    def _specs(self) -> list[ContainerSpec]:
        return self.pod.spec.containers

    def _follow_probes(self) -> None:
        held = self._held()
        sandbox = held.sandbox
        address = sandbox.address if sandbox is not None else ""
        if self.pod.spec.host_network:
            address = self._around.lifecycle.address
        for spec in self._specs():
            self._prober.follow(self.pod, spec, None if self._terminating else held.newest(spec.name), address)

    def _unhealthy(self) -> dict[str, str]:
        health = {spec.name: self._prober.health(spec) for spec in self._specs()}
        return {name: entry.unhealthy for name, entry in health.items() if entry.unhealthy}

    def _probe_failed(self, spec: ContainerSpec, kind: Kind, output: str) -> None:
        self._event("Unhealthy", f"{kind.capitalize()} probe failed: {output}", True, spec.name)

    # -- acting

    async def _perform_all(self, actions: Sequence[act.Action]) -> bool:
        """Whether all took effect."""
        for action in actions:
            try:
                await self._perform(action)
            except RuntimeFailed as error:
                self._failed(action, error)
                return False
            except (ApiError, ApiUnavailable) as error:
                self._around.context.log.warning("pod sync failed", pod=self.pod.metadata.name, reason=str(error))
                return False
            except CannotConfigure as error:
                self._cannot_configure(action, str(error))
                return False
        return True

    async def _perform(self, action: act.Action) -> None:
        call = self._around.runtime.call
        match action:
            case act.RunSandbox(attempt):
                await self._run_sandbox(attempt)
            case act.StopSandbox(sandbox):
                await call(runtime.StopPodSandbox(sandbox=sandbox))
            case act.RemoveSandbox(sandbox):
                await call(runtime.RemovePodSandbox(sandbox=sandbox))
            case act.StartContainer(name, attempt):
                await self._start(name, attempt)
            case act.StopContainer(container, name, grace, reason):
                text = f"Stopping container {name}" if reason == "Killing" else reason
                self._event("Killing", text, container=name)
                await call(runtime.StopContainer(container=container, grace=grace))
                self._stopping[container] = None
            case act.RemoveContainer(container):
                await call(runtime.RemoveContainer(container=container))
            case act.FinishPod():
                await self._finish()
            case act.WaitUntil():
                pass

    async def _run_sandbox(self, attempt: int) -> None:
        await self._fill_volumes()
        for old in self._held().sandboxes:
            if old.state != "READY":
                await self._around.runtime.call(runtime.RemovePodSandbox(sandbox=old.id))
        settings = self._around.settings
        config = sandbox_config(self.pod, attempt, settings.cluster_dns, settings.cluster_domain, settings.node)
        await self._around.runtime.run_sandbox(config)

    async def _fill_volumes(self) -> None:
        references = await self._references()
        for volume in self.pod.spec.volumes or []:
            files = volume_files(self.pod, volume, references)
            if files is not None:
                folder = volume_folder(self._uid, volume.name)
                await self._around.runtime.call(runtime.WriteFiles(folder=folder, files=files))

    async def _references(self) -> References:
        """The ConfigMaps and Secrets that the pod names; one that does not exist is left out."""
        namespace, client = self.pod.metadata.namespace, self._around.client
        config_maps, secrets = _named_objects(self.pod)
        found: dict[str, ConfigMap] = {}
        for name in config_maps:
            value = await _get_if_there(client, resources.CONFIG_MAPS, namespace, name)
            if value is not None:
                found[name] = codec.decode(ConfigMap, codec.encode(value))
        kept: dict[str, Secret] = {}
        for name in secrets:
            value = await _get_if_there(client, resources.SECRETS, namespace, name)
            if value is not None:
                kept[name] = codec.decode(Secret, codec.encode(value))
        return References(config_maps=found, secrets=kept, services=self._seen_services())

    def _seen_services(self) -> tuple[Service, ...]:
        """The Services of the pod's namespace, and the API server's (pkg/kubelet: getServiceEnvVarMap)."""
        seen = sorted(self._around.services.objects.items())
        own = self.pod.metadata.namespace
        return tuple(
            entry
            for key, entry in seen
            if key.namespace == own or (key.namespace, key.name) == ("default", "kubernetes")
        )

    async def _start(self, name: str, attempt: int) -> None:
        specs = (*(self.pod.spec.init_containers or ()), *self.pod.spec.containers)
        spec = next(entry for entry in specs if entry.name == name)
        sandbox = self._held().sandbox
        if sandbox is None:
            raise RuntimeFailed("FailedPrecondition", "the sandbox is gone")
        config = await self._container_config(spec, attempt)
        container = await self._around.runtime.create_container(sandbox.id, config)
        self._event("Created", f"Created container: {name}", container=name)
        claimant = await self._find_process(config.claimed, container.id, spec) if config.claimed else ""
        await self._around.runtime.call(runtime.StartContainer(container=container.id, claimant=claimant))
        if attempt:
            self._around.backoff.next(act.backoff_key(self.pod, name), self._around.context.clock.now_ns())
        self._waiting.pop(name, None)
        self._event("Started", f"Started container {name}", container=name)

    async def _container_config(self, spec: ContainerSpec, attempt: int) -> runtime.ContainerConfig:
        references = await self._references()
        check_ports(self.pod, spec)
        return runtime.ContainerConfig(
            name=spec.name,
            attempt=attempt,
            image=spec.image,
            command=list(spec.command or []),
            arguments=list(spec.args or []),
            environment=environment(self.pod, spec, references, self._around.lifecycle.address),
            working_folder=spec.working_dir,
            mounts=mounts(self.pod, spec),
            ports=[(port.protocol, port.container_port) for port in spec.ports or []],
            claimed=component_of(spec.image, self._around.settings.claimed_images),
            stdin=spec.stdin,
            stdin_once=spec.stdin_once,
            tty=spec.tty,
        )

    async def _find_process(self, component: str, container: str, spec: ContainerSpec) -> str:
        around = self._around
        place = f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"
        claim = await offer(around.context, around.settings.node, around.runtime.boot_id, component, container, place)
        if claim is not None:
            return claim.connection
        await around.runtime.call(runtime.RemoveContainer(container=container))
        module = component.replace("-", "_")
        text = f"no idle {component} process took the container: start one, as python -m podwire.services.{module} does"
        self._waiting[spec.name] = Waiting("NoProcess", text)
        self._event("NoProcess", text, True, spec.name)
        raise RuntimeFailed("Unavailable", text)

    async def _finish(self) -> None:
        for sandbox in self._held().sandboxes:
            await self._around.runtime.call(runtime.RemovePodSandbox(sandbox=sandbox.id))
        await self._around.runtime.call(runtime.RemoveFiles(folder=pod_folder(self._uid)))
        if not self.gone and not self.is_static:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
            try:
                await self._around.client.delete(
                    resources.PODS, self.pod.metadata.namespace, self.pod.metadata.name, options
                )
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        self.finished = True

    # -- reporting

    def _failed(self, action: act.Action, error: RuntimeFailed) -> None:
        self._around.context.log.warning("pod sync failed", pod=self.pod.metadata.name, reason=str(error))
        if isinstance(action, act.RunSandbox):
            self._event("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}", True)

    def _cannot_configure(self, action: act.Action, message: str) -> None:
        if isinstance(action, act.StartContainer):
            self._waiting[action.name] = Waiting("CreateContainerConfigError", message)
            self._event("Failed", f"Error: {message}", True, action.name)
        else:
            self._event("FailedMount", f"MountVolume.SetUp failed: {message}", True)

    def _event(self, reason: str, message: str, warning: bool = False, container: str = "") -> None:
        field = f"spec.containers{{{container}}}" if container else ""
        metadata = self.pod.metadata
        about = About("Pod", metadata.namespace, metadata.name, self.mirror_uid, field_path=field)
        self._around.events.record(about, reason, message, warning)

    async def _report(self) -> bool:
        """Writes the status if it differs from what was written last; False where it could not be written."""
        if self.gone or not self.mirror_uid:
            return True
        observed = Observed(
            held=self._held(),
            host_address=self._around.lifecycle.address,
            start_time=self._started_at,
            health={spec.name: self._prober.health(spec) for spec in self._specs()},
            waiting=self._waiting,
        )
        status = pod_status(self.pod, observed, self._around.context.clock.now_ns())
        if self._reported is not None and _steady(self._reported) == _steady(status):
            return True
        metadata = self.pod.metadata
        body = {"metadata": {"uid": self.mirror_uid}, "status": status}
        try:
            await self._around.client.patch(
                resources.PODS, metadata.namespace, metadata.name, body, "status", STRATEGIC_MERGE_PATCH
            )
        except (ApiError, ApiUnavailable) as error:
            self._around.context.log.debug("a status was not written", pod=metadata.name, reason=str(error))
            self._reported = None
            return False
        self._reported = status
        return True


def _steady(status: dict[str, Any]) -> str:
    """The status without the times that are filled in from the object afterwards."""
    conditions = [{**entry, "lastTransitionTime": None} for entry in status["conditions"]]
    return json.dumps({**status, "conditions": conditions}, sort_keys=True)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _named_objects(pod: Pod) -> tuple[list[str], list[str]]:
    """The names of the ConfigMaps and Secrets that a pod refers to."""
    config_maps: dict[str, None] = {}
    secrets: dict[str, None] = {}
    for volume in pod.spec.volumes or []:
        if volume.config_map is not None:
            config_maps[volume.config_map.name] = None
        if volume.secret is not None:
            secrets[volume.secret.secret_name] = None
    for container in (*(pod.spec.init_containers or ()), *pod.spec.containers):
        for variable in container.env or []:
            source = variable.value_from
            if source is not None and source.config_map_key_ref is not None:
                config_maps[source.config_map_key_ref.name] = None
            if source is not None and source.secret_key_ref is not None:
                secrets[source.secret_key_ref.name] = None
    return list(config_maps), list(secrets)


async def _get_if_there(
    client: ApiClient, resource: resources.Resource, namespace: str, name: str
) -> dict[str, Any] | None:
    try:
        return await client.get(resource, namespace, name)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
