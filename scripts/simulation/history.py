"""What a simulated cluster's pods were, read from the event log as it is written: names, addresses, lives."""

from typing import Final

from podwire.proto import subjects
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.resources import PODS
from podwire.proto.messages import codec
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.eventlog.log import read_event

_PODS: Final = subjects.resource_events(PODS.group, PODS.resource)


class PodHistory:
    """Every pod that there ever was."""

    def __init__(self) -> None:
        self.addresses: dict[str, dict[str, None]] = {}
        """The addresses that a pod has had, by its name."""
        self.labels: dict[str, str] = {}
        """The `app` of a pod, by its name."""

    def observe(self, stored: Stored) -> None:
        """Takes note of one event."""
        if not subjects.matches(_PODS, stored.subject):
            return
        pod = codec.decode(Pod, read_event(stored).event.object)
        name = pod.metadata.name
        self.labels[name] = (pod.metadata.labels or {}).get("app", "")
        if pod.status.pod_ip:
            self.addresses.setdefault(name, {})[pod.status.pod_ip] = None
