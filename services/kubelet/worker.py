"""One pod's worker: decides, acts, reports, and waits for something to change."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.pod import Pod, PodStatus
from podwire.proto.messages import runtime
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core import actions as act
from podwire.services.kubelet.core.container_status import Observed, Waiting
from podwire.services.kubelet.core.decide import Situation, backoff_key, decide, seconds_until
from podwire.services.kubelet.core.probes import Health, Kind
from podwire.services.kubelet.core.references import CannotConfigure
from podwire.services.kubelet.core.sandbox import sandbox_config
from podwire.services.kubelet.lookups import Lookups
from podwire.services.kubelet.prober import Prober
from podwire.services.kubelet.reporter import Reporter
from podwire.services.kubelet.runtime import RuntimeFailed
from podwire.services.kubelet.starting import NoProcess, Starting
from podwire.services.kubelet.stopping import Stopping
from podwire.services.kubelet.surroundings import PodView, Surroundings
from podwire.services.kubelet.volumes import CannotMount, PodVolumes

_RETRY: Final = 0.25
_SOONEST_RETRY: Final = 0.05
_LATER_RETRY: Final = 2.0
_LONGEST_RETRY: Final = 5.0
_MANY_FAILURES: Final = 20
_RECHECK: Final = 30.0
_DEADLINE: Final = Waiting("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodWorker:
    """Brings one pod's containers to what its object says. `is_static` pods have no object that is deleted."""

    def __init__(self, around: Surroundings, pod: Pod, is_static: bool = False) -> None:
        self.view = PodView(around, pod, "" if is_static else pod.metadata.uid)
        self.gone = False
        self.finished = False
        self.is_static = is_static
        self._around = around
        self._wake = asyncio.Event()
        self._started_at = around.context.clock.now_ns()
        self._object_changed = asyncio.Event()
        self._failures = 0
        self._misses_objects = False
        self._failure: Waiting | None = None
        lookups = Lookups(around, self.view)
        self._volumes = PodVolumes(around, self.view, lookups)
        self._starting = Starting(around, self.view, lookups, self._volumes)
        self._stopping = Stopping(around, self.view)
        self._reporter = Reporter(around, self.view)
        self._prober = Prober(around.context, around.runtime, self._wake.set, self._probe_failed)

    @property
    def pod(self) -> Pod:
        """The newest object."""
        return self.view.pod

    def update(self, pod: Pod | None) -> None:
        """The object changed (None: it is gone)."""
        if pod is None:
            self.gone = True
        else:
            if (pod.metadata.labels, pod.metadata.annotations, pod.spec) != (
                self.pod.metadata.labels,
                self.pod.metadata.annotations,
                self.pod.spec,
            ):
                self._volumes.refresh_soon()
            self.view.pod = pod
        self._object_changed.set()
        self._wake.set()

    def tell(self, status: PodStatus, revision: int) -> None:
        """What the API has as the pod's status."""
        self.view.told, self.view.told_at = status, revision
        self._wake.set()

    def wake(self) -> None:
        """Something that the decision depends on changed."""
        self._wake.set()

    @property
    def _terminating(self) -> bool:
        return self.gone or self.pod.metadata.deletion_timestamp is not None

    async def run(self) -> None:
        """Works until the pod is gone from the machine."""
        await self._around.lifecycle.listed.wait()
        while (pause := await self._step()) is not None:
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                pass
        self._prober.stop()
        self._around.backoff.forget(self.view.uid)

    async def _step(self) -> float | None:
        """Decides and acts until there is nothing left to do now; the seconds until the next look, None at the end."""
        while True:
            self._wake.clear()
            self._follow_probes()
            now = self._around.context.clock.now_ns()
            self._check_deadline(now)
            actions = decide(self.pod, self.view.held(), self._around.backoff, self._situation(now))
            waits = [entry for entry in actions if isinstance(entry, act.WaitUntil)]
            self._note_waits(waits)
            reported = await self._report()
            doing = [entry for entry in actions if not isinstance(entry, act.WaitUntil) and not self._in_hand(entry)]
            if not doing:
                await self._refresh_volumes(now)
                pause = min((seconds_until(entry, now) for entry in self._appointments(waits)), default=_RECHECK)
                return min(pause, _RECHECK) if reported else min(pause, _RETRY)
            if not await self._perform_all(doing):
                await self._report()
                await self._pause_after_failure()
                continue
            self._failures = 0
            if self.finished:
                return None
            await self._around.lifecycle.refresh()

    def _situation(self, now: int) -> Situation:
        health = self._health()
        return Situation(
            now=now,
            terminating=self._terminating,
            unhealthy={name: entry.unhealthy for name, entry in health.items() if entry.unhealthy is not None},
            started={name: entry.started for name, entry in health.items()},
            failed=self._failure is not None,
        )

    def _appointments(self, waits: list[act.WaitUntil]) -> list[int]:
        times = [entry.time for entry in waits]
        if (deadline := self._deadline()) is not None and self._failure is None:
            times.append(deadline)
        if self.view.held().sandbox is not None and not self._terminating:
            times.append(self._volumes.refresh_due())
        return times

    async def _pause_after_failure(self) -> None:
        """Longer after many, and cut short only by a change of the object: what a failed attempt itself changed on the
        machine wakes us. Missing objects are looked for at most every five seconds (upstream's volume manager waits up
        to two minutes, its pod workers ten seconds)."""
        self._failures += 1
        soon = min(_SOONEST_RETRY * self._failures, _RETRY)
        pause = soon if self._failures < _MANY_FAILURES else _LATER_RETRY
        if self._misses_objects:
            pause = min(_RETRY * 2 ** min(self._failures, 8), _LONGEST_RETRY)
        self._object_changed.clear()
        try:
            await asyncio.wait_for(self._object_changed.wait(), pause)
        except TimeoutError:
            pass

    def _in_hand(self, action: act.Action) -> bool:
        """A stop that was asked for takes its grace."""
        return isinstance(action, act.StopContainer) and action.container in self._stopping

    def _note_waits(self, waits: list[act.WaitUntil]) -> None:
        held, waiting = self.view.held(), self._starting.waiting
        for name in list(waiting):
            newest = held.newest(name)
            if newest is not None and newest.state == "RUNNING":
                del waiting[name]
        for entry in waits:
            delay = self._around.backoff.delay(backoff_key(self.pod, entry.name)) // SECOND
            place = f"{self.pod.metadata.name}_{self.pod.metadata.namespace}({self.view.uid})"
            text = f"back-off {_duration(delay)} restarting failed container={entry.name} pod={place}"
            if waiting.get(entry.name) != Waiting("CrashLoopBackOff", text):
                said = f"Back-off restarting failed container {entry.name} in pod {place}"
                self.view.event("BackOff", said, True, entry.name)
            waiting[entry.name] = Waiting("CrashLoopBackOff", text)

    # -- the pod's own deadline (pkg/kubelet/active_deadline.go)

    def _deadline(self) -> int | None:
        limit, start = self.pod.spec.active_deadline_seconds, self.pod.status.start_time
        if limit is None or start is None:
            return None
        return (int(datetime.fromisoformat(start).timestamp()) + limit) * SECOND

    def _check_deadline(self, now: int) -> None:
        deadline = self._deadline()
        over = self.pod.status.phase in ("Succeeded", "Failed")
        if deadline is not None and now >= deadline and self._failure is None and not over and not self._terminating:
            self._failure = _DEADLINE
            self.view.event(_DEADLINE.reason, _DEADLINE.message)

    # -- probes

    def _probed(self) -> list[ContainerSpec]:
        sidecars = [spec for spec in self.pod.spec.init_containers or [] if spec.is_sidecar]
        return [*sidecars, *self.pod.spec.containers]

    def _follow_probes(self) -> None:
        held, address = self.view.held(), self.view.addresses().pod
        for spec in self._probed():
            newest = held.newest(spec.name)
            self._prober.follow(self.pod, spec, newest, address, ending=self._terminating)

    def _health(self) -> dict[str, Health]:
        return {spec.name: self._prober.health(spec) for spec in self._probed()}

    def _probe_failed(self, spec: ContainerSpec, kind: Kind, output: str) -> None:
        self.view.event("Unhealthy", f"{kind.capitalize()} probe failed: {output}", True, spec.name)

    # -- acting

    async def _perform_all(self, actions: Sequence[act.Action]) -> bool:
        """Whether all took effect; a container that cannot start does not keep the others from it."""
        good, self._misses_objects = True, False
        for action in actions:
            try:
                await self._perform(action)
            except (RuntimeFailed, ApiError, ApiUnavailable) as error:
                self._failed(action, error)
                return False
            except CannotMount as error:
                self.view.event("FailedMount", str(error), True)
                self._misses_objects = True
                return False
            except CannotConfigure as error:
                self._wait_for(action, "CreateContainerConfigError", str(error))
                good, self._misses_objects = False, True
            except NoProcess as error:
                self._wait_for(action, "NoProcess", str(error))
                good = False
        return good

    async def _perform(self, action: act.Action) -> None:
        call = self._around.runtime.call
        match action:
            case act.RunSandbox(attempt):
                await self._run_sandbox(attempt)
            case act.StopSandbox(sandbox):
                await call(runtime.StopPodSandbox(sandbox=sandbox))
            case act.StartContainer():
                await self._starting.start(action)
            case act.StopContainer():
                self._stopping.begin(action)
            case act.RemoveContainer(container):
                await call(runtime.RemoveContainer(container=container))
            case act.FinishPod():
                await self._finish()
            case act.WaitUntil():
                pass

    async def _run_sandbox(self, attempt: int) -> None:
        await self._volumes.set_up()
        for old in self.view.held().sandboxes:
            if old.state != "READY":
                await self._around.runtime.call(runtime.RemovePodSandbox(sandbox=old.id))
        settings = self._around.settings
        config = sandbox_config(self.pod, attempt, settings.cluster_dns, settings.cluster_domain, settings.node)
        await self._around.runtime.run_sandbox(config)

    async def _refresh_volumes(self, now: int) -> None:
        """Keeps the files of a running pod's volumes up to date."""
        if self._terminating or self.view.held().sandbox is None or now < self._volumes.refresh_due():
            return
        try:
            await self._volumes.set_up()
        except CannotMount as error:
            self.view.event("FailedMount", str(error), True)
        except (RuntimeFailed, ApiError, ApiUnavailable) as error:
            self._around.context.log.debug("volumes were not refreshed", reason=str(error))

    async def _finish(self) -> None:
        for sandbox in self.view.held().sandboxes:
            await self._around.runtime.call(runtime.RemovePodSandbox(sandbox=sandbox.id))
        await self._volumes.remove()
        if not self.gone and not self.is_static:
            metadata = self.pod.metadata
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata.uid}}
            try:
                await self._around.client.delete(resources.PODS, metadata.namespace, metadata.name, options)
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        self.finished = True

    # -- reporting

    def _failed(self, action: act.Action, error: Exception) -> None:
        self._around.context.log.warning("pod sync failed", pod=self.pod.metadata.name, reason=str(error))
        if isinstance(action, act.RunSandbox) and isinstance(error, RuntimeFailed):
            self.view.event("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}", True)

    def _wait_for(self, action: act.Action, reason: str, message: str) -> None:
        assert isinstance(action, act.StartContainer)
        self._starting.waiting[action.name] = Waiting(reason, message)
        event = ("Failed", f"Error: {message}") if reason == "CreateContainerConfigError" else (reason, message)
        self.view.event(*event, True, action.name)

    async def _report(self) -> bool:
        """Writes the status if it differs from what was written last; False where it could not be written."""
        if self.gone:
            return True
        observed = Observed(
            held=self.view.held(),
            host_addresses=self._around.lifecycle.addresses,
            start_time=self._started_at,
            health=self._health(),
            waiting=self._starting.waiting,
            terminating=self._terminating,
            failure=self._failure,
        )
        return await self._reporter.report(observed)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
