"""Writing a pod's status when it differs from what was written last, or from what others have made of it since.

Source: kubernetes `pkg/kubelet/status/status_manager.go` (needsUpdate, needsReconcile): the node lifecycle controller,
for one, sets Ready to False on the pods of a node that is silent, and it is for the kubelet to set it right again.
"""

from typing import Any

from podwire.proto.kube import resources
from podwire.services.chassis.api.client import STRATEGIC_MERGE_PATCH, ApiError, ApiUnavailable
from podwire.services.kubelet.core.container_status import Observed
from podwire.services.kubelet.core.status import pod_status, status_patch
from podwire.services.kubelet.surroundings import PodView, Surroundings


class Reporter:
    """The status of one pod in the API."""

    def __init__(self, around: Surroundings, view: PodView) -> None:
        self._around, self._view = around, view
        self._reported: dict[str, Any] | None = None
        self._written_at = 0

    async def report(self, observed: Observed) -> bool:
        """False where it could not be written."""
        context, metadata = self._around.context, self._view.pod.metadata
        if not self._view.mirror_uid:
            return True
        status = pod_status(self._view.pod, observed, context.clock.now_ns())
        same = self._reported is not None and _steady(self._reported) == _steady(status)
        if same and not self._was_overwritten(status):
            return True
        body = {"metadata": {"uid": self._view.mirror_uid}, "status": status_patch(status, self._known_addresses())}
        try:
            written = await self._around.client.patch(
                resources.PODS, metadata.namespace, metadata.name, body, "status", STRATEGIC_MERGE_PATCH
            )
        except (ApiError, ApiUnavailable) as error:
            context.log.debug("a status was not written", pod=metadata.name, reason=str(error))
            self._reported = None
            return False
        self._reported, self._written_at = status, int(written["metadata"]["resourceVersion"])
        return True

    def _known_addresses(self) -> list[str]:
        told = self._view.told
        listed = [entry.ip for entry in (told and told.pod_ips) or []]
        written = [entry["ip"] for entry in (self._reported or {}).get("podIPs", [])]
        return list(dict.fromkeys([*listed, *written]))

    def _was_overwritten(self, status: dict[str, Any]) -> bool:
        told = self._view.told
        if told is None or self._view.told_at <= self._written_at:
            return False
        theirs = {entry.type: entry.status for entry in told.conditions or []}
        other = any(theirs.get(entry["type"]) != entry["status"] for entry in status["conditions"])
        return other or told.phase != status["phase"] or told.pod_ip != status.get("podIP", told.pod_ip)


def _steady(status: dict[str, Any]) -> dict[str, Any]:
    """The status without what is only filled in from the object afterwards: times, and texts that are to go."""
    conditions = [
        {key: text for key, text in entry.items() if key != "lastTransitionTime" and text is not None}
        for entry in status["conditions"]
    ]
    return {**status, "conditions": conditions, "startTime": ""}
