"""What a plan breaks of a live cluster beside objects: its processes, and the links between its machines."""

import signal
from contextlib import AsyncExitStack

from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos import processes
from podwire.scripts.chaos.holding import check_machines, holding
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.chaos.plan import Plan
from podwire.scripts.chaos.standing import Wrong
from podwire.scripts.cluster.client import Client


class LiveBreaking:
    """Processes that are killed or paused, and machines that are parted, as long as a plan holds."""

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client, self._plan = client, plan
        self._undo = AsyncExitStack()

    async def begin(self) -> None:
        """Raises UserError for a target that there is not."""
        folder, parted = self._client.folder, self._plan.partition
        check_machines(self._client, (machine for pair in parted for machine in pair), "partition")
        for target in self._plan.pause:
            processes.send(folder, target, signal.SIGSTOP)
            self._undo.callback(processes.send, folder, target, signal.SIGCONT)
        for target in self._plan.kill:
            processes.kill(folder, target)
        if parted:
            lost = Impairment(loss=1)
            bad = [BadDirection(*ends, lost) for pair in parted for ends in (pair, pair[::-1])]
            await self._undo.enter_async_context(holding(self._client, Wrong(bad=bad)))

    async def end(self) -> None:
        """Idempotent."""
        await self._undo.aclose()
