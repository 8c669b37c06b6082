"""Running the probes of one pod's containers; results go to the pod's worker."""

import asyncio
from collections.abc import Callable
from typing import Final

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import Probe
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import runtime
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.probes import Health, Kind, ProbeState, health, probes_of
from podwire.services.kubelet.handlers import (
    Call,
    CannotProbe,
    exec_call,
    grpc_call,
    http_call,
    outcome,
    tcp_call,
)
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

_KILLED: Final = 137
_MOMENT: Final = 0.3
"""Seconds that a container has to listen before it is probed: real runtimes and kubelets take as long to begin."""
OnFailure = Callable[[ContainerSpec, Kind, str], None]


class Prober:
    """The probes of one pod, started anew for each container attempt."""

    def __init__(
        self, context: Context, client: RuntimeClient, on_change: Callable[[], None], on_failure: OnFailure
    ) -> None:
        self._context, self._client = context, client
        self._on_change, self._on_failure = on_change, on_failure
        self._attempts: dict[str, str] = {}
        self._states: dict[str, dict[Kind, ProbeState]] = {}
        self._tasks: dict[str, dict[Kind, asyncio.Task[None]]] = {}

    def follow(
        self, pod: Pod, spec: ContainerSpec, container: runtime.Container | None, address: str, ending: bool
    ) -> None:
        """Starts the probes of a new running attempt and stops those of one that ended. A pod that is `ending` is
        probed for readiness only (prober_manager.go, StopLivenessAndStartup)."""
        if ending:
            self._stop_but_readiness(spec.name)
        running = container is not None and container.state == "RUNNING"
        current = container.id if container is not None and running else ""
        if self._attempts.get(spec.name, "") == current:
            return
        self._stop(spec.name)
        self._attempts[spec.name] = current
        if container is None or not current:
            return
        declared = probes_of(spec)
        states = {kind: ProbeState(kind, probe, container.started_at) for kind, probe in declared}
        self._states[spec.name] = states
        self._tasks[spec.name] = {
            state.kind: self._context.tasks.start(
                self._run(spec, state, states, current, address), name=f"{state.kind} probe {pod.metadata.name}"
            )
            for state in states.values()
        }

    def _stop_but_readiness(self, name: str) -> None:
        for kind, task in self._tasks.get(name, {}).items():
            if kind != "readiness":
                task.cancel()

    def _stop(self, name: str) -> None:
        for task in self._tasks.pop(name, {}).values():
            task.cancel()
        self._states.pop(name, None)

    def stop(self) -> None:
        """Stops all probes."""
        for name in list(self._tasks):
            self._stop(name)

    def health(self, spec: ContainerSpec) -> Health:
        """What the probes of a container's present attempt say."""
        return health(spec, self._states.get(spec.name, {}), bool(self._attempts.get(spec.name)))

    async def _run(
        self, spec: ContainerSpec, state: ProbeState, states: dict[Kind, ProbeState], container: str, address: str
    ) -> None:
        delay = max(0, state.first_due() - self._context.clock.now_ns()) / SECOND
        await asyncio.sleep(max(delay, _MOMENT))
        while True:
            startup = states.get("startup")
            blocked = state.kind != "startup" and startup is not None and startup.passing is not True
            if not blocked:
                success, output = await self._probe(spec, state, container, address)
                changed = state.record(success, output)
                if not success:
                    self._on_failure(spec, state.kind, output)
                if changed:
                    self._on_change()
                if state.kind == "startup" and state.passing:
                    return
            await asyncio.sleep(1 if blocked or state.passing is None else state.probe.period_seconds)

    async def _probe(self, spec: ContainerSpec, state: ProbeState, container: str, address: str) -> tuple[bool, str]:
        try:
            call = _call(spec, state.probe, container, address)
            result = await self._client.call(call, state.probe.timeout_seconds + 5)
        except (RuntimeFailed, CannotProbe) as error:
            return False, str(error)
        if isinstance(result, runtime.ExecResult) and result.code == _KILLED and b"timed out" in result.stderr:
            command = " ".join((state.probe.exec.command or []) if state.probe.exec is not None else [])
            return False, f'command timed out: "{command}" timed out after {state.probe.timeout_seconds}s'
        return outcome(result)


def _call(spec: ContainerSpec, probe: Probe, container: str, address: str) -> Call:
    timeout = float(probe.timeout_seconds)
    if probe.exec is not None:
        return exec_call(probe.exec, container, timeout)
    if probe.http_get is not None:
        return http_call(probe.http_get, spec, address, timeout)
    if probe.tcp_socket is not None:
        return tcp_call(probe.tcp_socket, spec, address, timeout)
    if probe.grpc is not None:
        return grpc_call(probe.grpc, address, timeout)
    raise CannotProbe("missing probe handler")
