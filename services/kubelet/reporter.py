"""Writing a pod's status when it differs from what was written last (pkg/kubelet/status)."""

import json
from typing import Any

from podwire.proto.kube import resources
from podwire.services.chassis.api.client import STRATEGIC_MERGE_PATCH, ApiError, ApiUnavailable
from podwire.services.kubelet.core.container_status import Observed
from podwire.services.kubelet.core.status import pod_status
from podwire.services.kubelet.surroundings import PodView, Surroundings


class Reporter:
    """The status of one pod in the API."""

    def __init__(self, around: Surroundings, view: PodView) -> None:
        self._around, self._view = around, view
        self._reported: dict[str, Any] | None = None

    async def report(self, observed: Observed) -> bool:
        """False where it could not be written."""
        context, metadata = self._around.context, self._view.pod.metadata
        if not self._view.mirror_uid:
            return True
        status = pod_status(self._view.pod, observed, context.clock.now_ns())
        if self._reported is not None and _steady(self._reported) == _steady(status):
            return True
        body = {"metadata": {"uid": self._view.mirror_uid}, "status": status}
        try:
            await self._around.client.patch(
                resources.PODS, metadata.namespace, metadata.name, body, "status", STRATEGIC_MERGE_PATCH
            )
        except (ApiError, ApiUnavailable) as error:
            context.log.debug("a status was not written", pod=metadata.name, reason=str(error))
            self._reported = None
            return False
        self._reported = status
        return True


def _steady(status: dict[str, Any]) -> str:
    """The status without what is only filled in from the object afterwards: times, and texts that are to go."""
    conditions = [
        {key: text for key, text in entry.items() if key != "lastTransitionTime" and text is not None}
        for entry in status["conditions"]
    ]
    return json.dumps({**status, "conditions": conditions, "startTime": ""}, sort_keys=True)
