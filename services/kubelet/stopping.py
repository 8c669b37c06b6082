"""Stopping a container: its preStop hook and its signals within one grace period (kuberuntime's killContainer)."""

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.messages import runtime
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.actions import StopContainer
from podwire.services.kubelet.core.ending import SHORTEST_GRACE
from podwire.services.kubelet.hooks import HookFailed, run_hook
from podwire.services.kubelet.runtime import RuntimeFailed
from podwire.services.kubelet.surroundings import PodView, Surroundings


class Stopping:
    """The stops that are under way; each is asked for once, and again only after a restart of the kubelet."""

    def __init__(self, around: Surroundings, view: PodView) -> None:
        self._around, self._view = around, view
        self._under_way: dict[str, None] = {}

    def __contains__(self, container: str) -> bool:
        return container in self._under_way

    def begin(self, stop: StopContainer) -> None:
        """Says so in an Event, and stops in the background: a hook may take all of the grace."""
        self._under_way[stop.container] = None
        self._view.event("Killing", stop.reason, container=stop.name)
        self._around.context.tasks.start(self._stop(stop), name=f"stop {stop.name}")

    async def _stop(self, stop: StopContainer) -> None:
        grace = float(stop.grace)
        try:
            if grace > 0:
                grace = max(SHORTEST_GRACE, grace - await self._pre_stop(stop))
            await self._around.runtime.call(runtime.StopContainer(container=stop.container, grace=grace))
        except RuntimeFailed as error:
            self._around.context.log.warning("a container was not stopped", container=stop.name, reason=str(error))
            self._under_way.pop(stop.container, None)

    async def _pre_stop(self, stop: StopContainer) -> float:
        """Runs the hook; the seconds that it took."""
        spec = self._spec(stop.name)
        hook = spec.lifecycle.pre_stop if spec is not None and spec.lifecycle is not None else None
        if spec is None or hook is None:
            return 0.0

        def warn(reason: str, message: str) -> None:
            self._view.event(reason, message, True, stop.name)

        now_ns = self._around.context.clock.now_ns
        began, address = now_ns(), self._view.addresses().pod
        try:
            await run_hook(self._around.runtime, hook, spec, stop.container, address, warn, float(stop.grace))
        except HookFailed as error:
            self._view.event("FailedPreStopHook", f"PreStopHook failed: {error}", True, stop.name)
        return (now_ns() - began) / SECOND

    def _spec(self, name: str) -> ContainerSpec | None:
        return next((spec for spec in self._view.pod.spec.all_containers if spec.name == name), None)
