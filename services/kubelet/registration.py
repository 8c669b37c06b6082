"""The node's own object: registered, kept current, its Lease renewed."""

import asyncio
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.messages import runtime
from podwire.services.chassis.api.client import STRATEGIC_MERGE_PATCH, ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.node import NodeFacts, is_told, lease, new_node, node_status
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed
from podwire.services.kubelet.settings import KubeletSettings

LEASE_EVERY: Final = 10.0
COMPARE_EVERY: Final = 10 * SECOND
"""The API's status is compared with what it should be (nodeStatusUpdateFrequency)."""
REPORT_EVERY: Final = 300 * SECOND
"""It is written although nothing changed (nodeStatusReportFrequency)."""
_RETRY: Final = 0.2
_LOOK_SOON: Final = 0.25
_LOOK_EVERY: Final = 5.0
"""Seconds between two looks at the runtime (pkg/kubelet/kubelet.go, updateRuntimeUp)."""

FAILURES: Final = (ApiError, ApiUnavailable, RuntimeFailed)


class Registration:
    """Reports this node."""

    def __init__(
        self,
        context: Context,
        settings: KubeletSettings,
        client: ApiClient,
        client_runtime: RuntimeClient,
        lifecycle: PodLifecycle,
    ) -> None:
        self._context, self._settings, self._client = context, settings, client
        self._runtime, self._lifecycle = client_runtime, lifecycle
        self._known: NodeFacts | None = None
        self._compared_at = self._written_at = 0

    async def run(self) -> None:
        """Registers, then reports until cancelled: at once when something changed, and what others overwrote."""
        await self._lifecycle.listed.wait()
        self._context.tasks.start(self._renew_lease(), name="renew the lease")
        while True:
            try:
                await self._report_if_due(await self._facts())
            except FAILURES as error:
                self._context.log.debug("the node's status was not written", reason=str(error))
                self._known = None
                await asyncio.sleep(_RETRY)
            await asyncio.sleep(_LOOK_EVERY if self._known and self._known.network_ready else _LOOK_SOON)

    async def _facts(self) -> NodeFacts:
        condition = await self._runtime.call(runtime.NetworkStatus())
        ready = isinstance(condition, runtime.NetworkCondition) and condition.ready
        message = condition.message if isinstance(condition, runtime.NetworkCondition) else ""
        return NodeFacts(
            name=self._settings.node,
            addresses=self._lifecycle.addresses,
            boot_id=self._runtime.boot_id,
            network_ready=ready,
            network_message=message,
            control_plane=self._settings.control_plane,
        )

    async def _report_if_due(self, facts: NodeFacts) -> None:
        now = self._context.clock.monotonic_ns()
        if facts == self._known and now - self._compared_at < COMPARE_EVERY:
            return
        known = await self._status(facts)
        status = node_status(facts, known.get("conditions") or [], self._context.clock.now_ns())
        if not self._known or not is_told(status, known) or now - self._written_at >= REPORT_EVERY:
            await self._client.patch(
                resources.NODES, "", facts.name, {"status": status}, "status", STRATEGIC_MERGE_PATCH
            )
            self._written_at = now
        self._known, self._compared_at = facts, now

    async def _status(self, facts: NodeFacts) -> dict[str, Any]:
        """The status that the object has; it is made first if it is not there."""
        try:
            node = await self._client.get(resources.NODES, "", facts.name)
        except ApiError as error:
            if error.code != 404:
                raise
            node = await self._client.create(resources.NODES, "", new_node(facts))
        found: dict[str, Any] = node.get("status") or {}
        return found

    async def _renew_lease(self) -> None:
        made = False
        while True:
            body = lease(self._settings.node, self._context.clock.now_ns())
            try:
                if made:
                    patch = {"spec": body["spec"]}
                    await self._client.patch(resources.LEASES, "kube-node-lease", self._settings.node, patch)
                else:
                    await self._make_lease(body)
                    made = True
            except ApiError as error:
                made = made and error.code != 404
                await asyncio.sleep(_RETRY)
                continue
            except ApiUnavailable:
                await asyncio.sleep(_RETRY)
                continue
            await asyncio.sleep(LEASE_EVERY)

    async def _make_lease(self, body: dict[str, Any]) -> None:
        try:
            await self._client.create(resources.LEASES, "kube-node-lease", body)
        except ApiError as error:
            if error.code != 409:
                raise
