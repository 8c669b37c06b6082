"""Init containers: which is started next, which sidecar again, and whether the pod is initialized.

Source: kubernetes `pkg/kubelet/kuberuntime/kuberuntime_container.go` (computeInitContainerActions), KEP-753.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.pod import Pod
from podwire.services.kubelet.core.held import RuntimePod


@dataclass(slots=True)
class Initialization:
    """`failed` pods must not go on: an init container failed and the policy is Never."""

    initialized: bool = True
    failed: bool = False
    start: list[str] = field(default_factory=list)


def any_main_started(pod: Pod, held: RuntimePod) -> bool:
    """Whether a main container was made in the present sandbox: then every init container has been through."""
    return any(held.active(spec.name) is not None for spec in pod.spec.containers)


def initialization(pod: Pod, held: RuntimePod, started: Mapping[str, bool]) -> Initialization:
    """`started` says of running sidecars whether their startup probe has passed."""
    specs = pod.spec.init_containers or []
    result = Initialization(initialized=not specs or any_main_started(pod, held))
    passed = result.initialized
    for index in reversed(range(len(specs))):
        spec = specs[index]
        entry = held.active(spec.name)
        if entry is None:
            if passed and spec.is_sidecar:
                result.start.append(spec.name)
            continue
        done = entry.state == "EXITED" and entry.exit_code == 0 and not spec.is_sidecar
        done = done or (spec.is_sidecar and entry.state == "RUNNING" and started.get(spec.name, False))
        if not passed and done:
            _go_on(pod, index, result)
        if entry.state == "EXITED" and spec.is_sidecar:
            result.start.append(spec.name)
        elif entry.state == "EXITED" and entry.exit_code and not passed:
            if pod.spec.restart_policy == "Never":
                return Initialization(initialized=False, failed=True)
            result.start.append(spec.name)
        elif entry.state == "CREATED":
            result.start.append(spec.name)
        passed = True
    if not passed:
        result.start.append(specs[0].name)
    result.start.reverse()
    return result


def _go_on(pod: Pod, index: int, result: Initialization) -> None:
    specs = pod.spec.init_containers or []
    if index == len(specs) - 1:
        result.initialized = True
    else:
        result.start.append(specs[index + 1].name)
