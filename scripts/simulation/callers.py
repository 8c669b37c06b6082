"""Callers that never stop, one on each machine: from a pod and from the machine itself, to pods and to Services.

They check at every answer that it came from where the packet was sent: `delivered-where-routed`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.messages.machine import Connect, Outcome
from podwire.scripts.simulation.history import PodHistory
from podwire.scripts.simulation.probing import Prober, Silent
from podwire.scripts.simulation.workload import CALLER, HTTP_PORT, NAMESPACE, POD_HTTP_PORT, UDP_PORT, WEB
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.chance import RandomBits, below, choose

_EVERY: Final = 8.0
_TIMEOUT: Final = 1.5
_SOURCE_PORT: Final = 7777
"""Datagrams always leave from here, so that a flow that nobody ends goes on for ever."""


@dataclass(slots=True)
class Counts:
    """How many calls were answered, and how many were not."""

    answered: int = 0
    failed: int = 0


class Callers:
    """The callers of one cluster. `misdelivered` has one line for each answer from the wrong pod."""

    def __init__(self, api: ApiClient, prober: Prober, history: PodHistory, random: RandomBits) -> None:
        self.counts = Counts()
        self.misdelivered: list[str] = []
        self._api, self._prober, self._history, self._random = api, prober, history, random
        self.service = ""

    async def run(self, node: str) -> None:
        """Calls from one machine until cancelled."""
        while True:
            await asyncio.sleep(2 * _EVERY * below(self._random, 1000) / 1000)
            try:
                await self._call(node)
            except (ApiError, ApiUnavailable, Silent):
                self.counts.failed += 1

    async def _call(self, node: str) -> None:
        pods = await self._api.list(resources.PODS, NAMESPACE)
        callers = [pod["metadata"]["name"] for pod in pods if runs_on(pod, node, CALLER)]
        source = choose(self._random, ["", *callers])
        addresses = [pod["status"]["podIP"] for pod in pods if runs_on(pod, pod["spec"].get("nodeName", ""), WEB)]
        target = choose(self._random, [self.service, self.service, *addresses])
        await self._exchange(node, source, target)

    async def _exchange(self, node: str, source: str, target: str) -> None:
        whole = self.http(source, target)
        outcome = await self._prober.connect(node, whole)
        self._judge(target, outcome)
        if target == self.service:
            self._judge(target, await self._prober.connect(node, self.datagram(source)))

    def http(self, source: str, target: str) -> Connect:
        """A request for the name of the pod that serves."""
        port = HTTP_PORT if target == self.service else POD_HTTP_PORT
        return _from(source, kind="http", address=target, port=port, path="/hostname")

    def datagram(self, source: str) -> Connect:
        """A datagram that asks the same of the Service."""
        return _from(
            source, kind="udp", address=self.service, port=UDP_PORT, data=b"hostname\n", source_port=_SOURCE_PORT
        )

    def _judge(self, target: str, outcome: Outcome) -> None:
        if not outcome.success:
            self.counts.failed += 1
            return
        self.counts.answered += 1
        name = outcome.body.decode(errors="replace").strip()
        right = self._history.labels.get(name) == WEB
        if target != self.service:
            right = target in self._history.addresses.get(name, {})
        if not right:
            self.misdelivered.append(f"a packet for {target} was answered by {name!r}")


def runs_on(pod: dict[str, Any], node: str, app: str) -> bool:
    """Whether a pod of this app has its address on this machine."""
    labels, place = pod["metadata"].get("labels", {}), pod["spec"].get("nodeName")
    return labels.get("app") == app and place == node and bool(pod["status"].get("podIP"))


def _from(source: str, **call: Any) -> Connect:
    namespace = NAMESPACE if source else ""
    return Connect(trace="", namespace=namespace, pod=source, timeout=_TIMEOUT, **call)
