"""Running the probes of one pod's containers; results go to the pod's worker."""

import asyncio
from collections.abc import Callable
from typing import Final

from podwire.proto.kube.pod import Container as ContainerSpec
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import runtime
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.probes import Health, Kind, ProbeState, health, named_port, probes_of
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

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
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    def follow(self, pod: Pod, spec: ContainerSpec, container: runtime.Container | None, address: str) -> None:
        """Starts the probes of a new running attempt and stops those of one that ended."""
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
        self._tasks[spec.name] = [
            self._context.tasks.start(
                self._run(spec, state, states, current, address), name=f"{state.kind} probe {pod.metadata.name}"
            )
            for state in states.values()
        ]

    def _stop(self, name: str) -> None:
        for task in self._tasks.pop(name, []):
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
        call = self._call(spec, state, container, address)
        if isinstance(call, str):
            return False, call
        try:
            result = await self._client.call(call, state.probe.timeout_seconds + 5)
        except RuntimeFailed as error:
            return False, str(error)
        if isinstance(result, runtime.ProbeResult):
            return result.success, result.output
        if isinstance(result, runtime.ExecResult):
            return result.code == 0, (result.stdout + result.stderr).decode(errors="replace")[:1024]
        return False, f"a probe was answered with {type(result).__name__}"

    def _call(
        self, spec: ContainerSpec, state: ProbeState, container: str, address: str
    ) -> runtime.ProbePod | runtime.ExecSync | str:
        probe, timeout = state.probe, float(state.probe.timeout_seconds)
        if probe.exec is not None:
            return runtime.ExecSync(container=container, command=list(probe.exec.command or []), timeout=timeout)
        if probe.http_get is not None:
            port = named_port(spec, probe.http_get.port)
            if probe.http_get.scheme != "HTTP":
                return f"probes with scheme {probe.http_get.scheme} are not built"
            if port is None:
                return f"invalid port: {probe.http_get.port!r} is not a declared port"
            return runtime.ProbePod(
                kind="http",
                address=probe.http_get.host or address,
                port=port,
                path=probe.http_get.path,
                headers={entry.name: entry.value for entry in probe.http_get.http_headers or []},
                timeout=timeout,
            )
        if probe.tcp_socket is not None:
            port = named_port(spec, probe.tcp_socket.port)
            if port is None:
                return f"invalid port: {probe.tcp_socket.port!r} is not a declared port"
            return runtime.ProbePod(kind="tcp", address=probe.tcp_socket.host or address, port=port, timeout=timeout)
        return "this kind of probe is not built (exec, httpGet, tcpSocket)"
