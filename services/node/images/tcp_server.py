"""A TCP server: one task a connection, all of which end with the server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.services.node.network.sockets import EVERYWHERE, Network, TcpStream

MOST_CONNECTIONS: Final = 4096


async def serve_tcp(
    network: Network, port: int, handle: Callable[[TcpStream], Awaitable[None]], address: str = EVERYWHERE
) -> None:
    """Listens until cancelled and runs `handle` for every connection, which is closed after it. Raises OSError
    (EADDRINUSE, EACCES). A connection's own OSError ends only that connection."""
    tasks: dict[asyncio.Task[None], None] = {}

    async def attend(stream: TcpStream) -> None:
        try:
            await handle(stream)
        except OSError:
            stream.abort()
        finally:
            stream.close()

    def accept(stream: TcpStream) -> None:
        if len(tasks) >= MOST_CONNECTIONS:
            stream.abort()
            return
        task = asyncio.get_running_loop().create_task(attend(stream), name="connection")
        tasks[task] = None
        task.add_done_callback(lambda done: tasks.pop(done, None))

    listener = network.listen(port, accept, address)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
