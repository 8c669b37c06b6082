"""How a pod's containers are stopped: the main ones first, then sidecars in the reverse order of their start.

Source: KEP-753; kubernetes `pkg/kubelet/kuberuntime/kuberuntime_container.go` (killContainer,
setTerminationGracePeriod), `kuberuntime_termination_order.go`.
"""

from datetime import datetime
from typing import Final

from podwire.proto.kube.pod import Pod
from podwire.proto.messages.runtime import Container
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.actions import StopContainer
from podwire.services.kubelet.core.held import RuntimePod

DEFAULT_GRACE: Final = 30
SHORTEST_GRACE: Final = 2
KILLING: Final = "Stopping container {name}"


def grace_of(pod: Pod) -> int:
    """Seconds that a container has between SIGTERM and SIGKILL."""
    if pod.metadata.deletion_grace_period_seconds is not None:
        return max(SHORTEST_GRACE, pod.metadata.deletion_grace_period_seconds)
    wanted = pod.spec.termination_grace_period_seconds
    return max(SHORTEST_GRACE, DEFAULT_GRACE if wanted is None else wanted)


def stop_all(pod: Pod, held: RuntimePod, now: int) -> list[StopContainer]:
    """The stops that are due now; none when nothing runs."""
    sidecars = [spec.name for spec in pod.spec.init_containers or [] if spec.is_sidecar]
    others = [entry for entry in held.running if entry.config.name not in sidecars]
    if others:
        return [_stop(entry, grace_of(pod)) for entry in others]
    for name in reversed(sidecars):
        running = [entry for entry in held.running if entry.config.name == name]
        if running:
            return [_stop(entry, _remaining(pod, now)) for entry in running]
    return []


def stop_at_once(held: RuntimePod) -> list[StopContainer]:
    """Stops of what runs without its sandbox."""
    return [_stop(entry, 0) for entry in held.running]


def _stop(entry: Container, grace: int) -> StopContainer:
    return StopContainer(entry.id, entry.config.name, grace, KILLING.format(name=entry.config.name))


def _remaining(pod: Pod, now: int) -> int:
    """What is left of a deleted pod's grace for its sidecars: its deletionTimestamp is when it is over."""
    if pod.metadata.deletion_timestamp is None:
        return grace_of(pod)
    end = int(datetime.fromisoformat(pod.metadata.deletion_timestamp).timestamp())
    return max(SHORTEST_GRACE, min(grace_of(pod), end - now // SECOND))
