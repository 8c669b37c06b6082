"""What all workers of a kubelet share."""

from dataclasses import dataclass

from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Pod, PodStatus
from podwire.services.chassis.api.client import ApiClient
from podwire.services.chassis.api.events import About, EventRecorder
from podwire.services.chassis.api.watch import Watch
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.fields import Addresses
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.core.status import pod_addresses
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.runtime import RuntimeClient
from podwire.services.kubelet.settings import KubeletSettings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The kubelet's clients, its view of the runtime, its back-off."""

    context: Context
    settings: KubeletSettings
    client: ApiClient
    runtime: RuntimeClient
    lifecycle: PodLifecycle
    events: EventRecorder
    backoff: Backoff
    services: Watch[Service]


class PodView:
    """One pod as its worker and everything around it sees it; the object is the newest that the API told of."""

    def __init__(self, around: Surroundings, pod: Pod, mirror_uid: str) -> None:
        self.pod = pod
        self.mirror_uid = mirror_uid
        self.told: PodStatus | None = None
        self.told_at = 0
        """The status that the API has, and its revision."""
        self._around = around

    @property
    def uid(self) -> str:
        """The pod's uid on this machine; a mirror pod has another in the API."""
        return self.pod.metadata.uid

    def held(self) -> RuntimePod:
        """What the runtime holds for it."""
        return self._around.lifecycle.pods.get(self.uid, RuntimePod())

    def addresses(self) -> Addresses:
        """The machine's addresses and the pod's."""
        hosts = self._around.lifecycle.addresses
        return Addresses(hosts, pod_addresses(self.pod, self.held(), hosts))

    def event(self, reason: str, message: str, warning: bool = False, container: str = "") -> None:
        """Records an Event about the pod or one of its containers."""
        metadata = self.pod.metadata
        about = About("Pod", metadata.namespace, metadata.name, self.mirror_uid, field_path=self._field(container))
        self._around.events.record(about, reason, message, warning)

    def _field(self, container: str) -> str:
        if not container:
            return ""
        spec = self.pod.spec
        for field, entries in (
            ("initContainers", spec.init_containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        ):
            if any(entry.name == container for entry in entries or []):
                return f"spec.{field}{{{container}}}"
        return f"spec.containers{{{container}}}"
