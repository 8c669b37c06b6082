"""An SCTP server: one task an association, all of which end with the server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.services.node.network import sctp
from podwire.services.node.network.sctp import SctpChannel
from podwire.services.node.network.sockets import Network

MOST_ASSOCIATIONS: Final = 4096


async def serve_sctp(network: Network, port: int, handle: Callable[[SctpChannel], Awaitable[None]]) -> None:
    """Listens until cancelled and runs `handle` for every association, which is closed after it. Raises OSError
    (EADDRINUSE). An association's own OSError ends only that association."""
    tasks: dict[asyncio.Task[None], None] = {}

    async def attend(channel: SctpChannel) -> None:
        try:
            await handle(channel)
        except OSError:
            return
        finally:
            channel.close()

    def accept(channel: SctpChannel) -> None:
        if len(tasks) >= MOST_ASSOCIATIONS:
            channel.close()
            return
        task = asyncio.get_running_loop().create_task(attend(channel), name="association")
        tasks[task] = None
        task.add_done_callback(lambda done: tasks.pop(done, None))

    listener = sctp.listen(network, port, accept)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
