"""What server programs share: several listeners at once, and what is said when a port is taken."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from podwire.services.node.network.sockets import UdpChannel
from podwire.services.node.process import Process


async def run_all(servers: list[Coroutine[Any, Any, None]]) -> None:
    """Runs servers until one fails, which ends them all. Raises its error."""
    tasks = [asyncio.get_running_loop().create_task(server) for server in servers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def run_for_ever() -> None:
    """Waits until cancelled."""
    await asyncio.get_running_loop().create_future()


async def echo_udp(process: Process, port: int) -> None:
    """Sends every datagram back until cancelled. Raises OSError (EADDRINUSE)."""
    channel = process.network.open_udp(port)
    try:
        while True:
            await _echo_one(channel)
    finally:
        channel.close()


async def _echo_one(channel: UdpChannel) -> None:
    try:
        datagram = await channel.receive()
        channel.send(datagram.payload, datagram.source)
    except OSError:
        return
