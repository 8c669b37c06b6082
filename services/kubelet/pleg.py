"""The pod life cycle event generator: what the runtime holds, listed again when it says that something changed.

Evented where the machine's messages arrive (KEP-3386), relisted now and then all the same, so that a lost message costs
time and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages.runtime import Inventory
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

RELIST_EVERY: Final = 10.0
_RETRY: Final = 0.1


class PodLifecycle:
    """The runtime's inventory by pod. `on_change` gets the uids of the pods whose part changed."""

    def __init__(
        self, context: Context, runtime: RuntimeClient, node: str, on_change: Callable[[list[str]], None]
    ) -> None:
        self.pods: dict[str, RuntimePod] = {}
        self.addresses: tuple[str, ...] = ()
        """The machine's, the primary family's first."""
        self.listed = asyncio.Event()
        self._context, self._runtime, self._on_change = context, runtime, on_change
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        context.bus.subscribe(subjects.runtime_events(node), self._hear)
        context.bus.subscribe(subjects.booted(node), self._hear)
        context.bus.on_connection(self._connection_changed)

    def _hear(self, message: Message) -> None:
        self._wanted.set()

    def _connection_changed(self, connected: bool) -> None:
        """Nothing was heard while the bus was away."""
        self._wanted.set()

    async def refresh(self) -> None:
        """Returns after a listing that began after this call."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wanted.set()
        await done

    async def run(self) -> None:
        """Lists until cancelled."""
        while True:
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            try:
                inventory = await self._runtime.inventory()
            except RuntimeFailed as error:
                self._context.log.debug("cannot list", reason=str(error))
                self._waiting = waiting + self._waiting
                await asyncio.sleep(_RETRY)
                continue
            self._take(inventory)
            for done in waiting:
                if not done.done():
                    done.set_result(None)
            try:
                await asyncio.wait_for(self._wanted.wait(), RELIST_EVERY)
            except TimeoutError:
                pass

    def _take(self, inventory: Inventory) -> None:
        before, self.pods = self.pods, by_pod(inventory)
        self.addresses = tuple(inventory.addresses)
        self.listed.set()
        names = list(dict.fromkeys((*before, *self.pods)))
        changed = [uid for uid in names if before.get(uid) != self.pods.get(uid)]
        if changed:
            self._on_change(changed)


def by_pod(inventory: Inventory) -> dict[str, RuntimePod]:
    """The inventory, by pod uid."""
    owner = {sandbox.id: sandbox.config.uid for sandbox in inventory.sandboxes}
    uids = list(dict.fromkeys(owner.values()))
    return {
        uid: RuntimePod(
            tuple(entry for entry in inventory.sandboxes if entry.config.uid == uid),
            tuple(entry for entry in inventory.containers if owner.get(entry.sandbox) == uid),
        )
        for uid in uids
    }
