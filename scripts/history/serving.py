"""The NATS server of a folder whose cluster does not run, for as long as its event log is read or written."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.ports import free_port
from podwire.services.chassis.bus.base import BusError, StreamUnavailable
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.live.nats_server import Account, NatsServer, User

_USER: Final = "history"
_PATIENCE: Final = 30.0
"""Seconds until JetStream has to answer: it looks through a large log first."""


@asynccontextmanager
async def serving(folder: ClusterFolder) -> AsyncIterator[NatsBus]:
    """A connection to the folder's NATS server, which runs for as long as that. The folder is held by the caller."""
    password = secrets.token_hex(16)
    server = NatsServer(folder.nats, free_port(), Account({_USER: User(password, (">",), (">",))}, password))
    server.start()
    try:
        bus = await _connected(server.url, password)
        try:
            yield bus
        finally:
            await bus.close()
    finally:
        server.kill()


async def _connected(url: str, password: str) -> NatsBus:
    async with asyncio.timeout(_PATIENCE):
        while True:
            bus = NatsBus("history", RandomStream(secrets.randbits(64)))
            try:
                await bus.connect(url, _USER, password, timeout=2)
                await bus.stream_state(2.0)
            except StreamUnavailable:  # an answer, though there may be no stream
                return bus
            except BusError:
                await asyncio.sleep(0.02)
            else:
                return bus
