"""What the chaos daemon does on machines: it finds a pod's network namespace and programs it, and kills containers.

A machine that has booted since is another one: what is known of it counts no more.
"""

import asyncio
from typing import Any, Final

from podwire.proto import subjects
from podwire.proto.kube.json_objects import section
from podwire.proto.messages import codec, runtime
from podwire.proto.messages.kernel import Operation, Read
from podwire.services.chaos.core.kinds import Json
from podwire.services.chaos.core.network import PodNetwork
from podwire.services.chaos.core.programming import FAMILIES, operations
from podwire.services.chaos.core.selecting import pod_id
from podwire.services.chassis.bus import base, pieces
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable

_TIMEOUT: Final = 5.0
REQUESTER: Final = "chaos"


class MachineFailed(Exception):
    """A machine does not answer, refuses, or has no such pod; the text says which."""


class Machines:
    """All machines of the cluster."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kernels: dict[str, KernelClient] = {}
        self._made: dict[str, tuple[str, str, PodNetwork]] = {}
        """What was programmed last for a pod: its machine's boot id, its network namespace, and what."""
        self._shifted: dict[str, tuple[str, int]] = {}
        """By how much the clock of a container is off, and its machine's boot id."""

    async def make(self, pod: Json, network: PodNetwork) -> None:
        """Makes a pod's network what it should be; nothing is sent where it is so. Raises MachineFailed."""
        node, identifier = str(section(pod, "spec").get("nodeName", "")), pod_id(pod)
        if section(pod, "spec").get("hostNetwork"):
            raise MachineFailed(f"It's dangerous to inject network chaos on a pod({identifier}) with `hostNetwork`")
        boot, netns = await self._place(node, pod)
        if self._made.get(identifier) == (boot, netns, network):
            return
        kernel = self._kernel(node, boot)
        reads = [Read(netns=netns, kind="iptables-save", table="filter", family=family) for family in FAMILIES]
        *rules, sets = await self._program(node, kernel, [*reads, Read(netns=netns, kind="ipset-save")])
        steps = operations(netns, network, dict(zip(FAMILIES, map(str, rules), strict=True)), str(sets))
        await self._program(node, kernel, steps)
        self._made[identifier] = (boot, netns, network)

    def forget(self, identifier: str) -> None:
        """A pod is gone."""
        self._made.pop(identifier, None)

    async def kill(self, node: str, container: str) -> None:
        """Ends a container with SIGKILL. Raises MachineFailed."""
        answer = await self._ask(node, runtime.ListAll(), "")
        await self._ask(node, runtime.StopContainer(container=container), answer.boot_id)

    async def shift_clock(self, node: str, container: str, offset: int) -> None:
        """Sets how far (ns) the clock of a container's programs is off. Raises MachineFailed."""
        answer = await self._ask(node, runtime.ListAll(), "")
        if self._shifted.get(container) != (answer.boot_id, offset):
            await self._ask(node, runtime.ShiftClock(container=container, offset=offset), answer.boot_id)
            self._shifted[container] = (answer.boot_id, offset)

    async def _place(self, node: str, pod: Json) -> tuple[str, str]:
        """The boot id of the pod's machine, and the pod's network namespace there."""
        answer = await self._ask(node, runtime.ListAll(), "")
        assert isinstance(answer.result, runtime.Inventory)
        for sandbox in answer.result.sandboxes:
            if sandbox.config.uid == pod["metadata"]["uid"] and sandbox.state == "READY":
                return answer.boot_id, sandbox.network
        raise MachineFailed(f"pod {pod_id(pod)} is not running")

    async def _ask(self, node: str, call: runtime.Call, boot_id: str) -> runtime.RuntimeAnswer:
        request = codec.encode(runtime.RuntimeRequest(boot_id=boot_id, call=call))
        try:
            payload = await pieces.request(self._context.bus, subjects.runtime(node), request, _TIMEOUT)
            answer = codec.decode(runtime.RuntimeAnswer, payload)
        except (base.BusError, codec.ForeignMessage) as error:
            raise MachineFailed(f"machine {node!r} does not answer: {error}") from None
        if isinstance(answer.result, runtime.Failed):
            raise MachineFailed(f"machine {node!r}: {answer.result.message}")
        return answer

    def _kernel(self, node: str, boot: str) -> KernelClient:
        known = self._kernels.get(node)
        if known is None or known.boot_id != boot:
            known = self._kernels[node] = KernelClient(self._context, node, REQUESTER, boot)
        return known

    async def _program(self, node: str, kernel: KernelClient, steps: list[Operation] | list[Read]) -> tuple[Any, ...]:
        try:
            return await asyncio.wait_for(kernel.program(steps), _TIMEOUT)
        except (KernelRefused, KernelUnavailable, TimeoutError) as error:
            raise MachineFailed(f"machine {node!r}: {error or 'no answer'}") from None
        except ProcessEnd as error:
            self._kernels.pop(node, None)
            raise MachineFailed(f"machine {node!r}: {error}") from None
