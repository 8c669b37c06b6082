"""The NATS server of a folder whose cluster does not run, for as long as its event log is read or written."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from podwire.scripts.cluster.ports import free_port
from podwire.scripts.errors import UserError
from podwire.services.chassis.bus.base import BusError, StreamUnavailable
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.live.nats_server import Account, NatsServer, NatsServerError, User

JETSTREAM: Final = "jetstream"
"""The part of a cluster's `nats` folder that holds the log."""
_USER: Final = "history"
_PATIENCE: Final = 30.0
"""Seconds until JetStream has to answer: it looks through a large log first."""


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[NatsBus]:
    """A connection to a NATS server on a folder's files, which runs for as long as that.

    Raises NatsServerError with what the server says if it ends, or does not answer.
    """
    password = secrets.token_hex(16)
    server = NatsServer(folder, free_port(), Account({_USER: User(password, (">",), (">",))}, password))
    server.start()
    try:
        bus = await _connected(server, password)
        try:
            yield bus
        finally:
            await bus.close()
    finally:
        server.kill()


@asynccontextmanager
async def serving_copy(folder: Path) -> AsyncIterator[NatsBus]:
    """The same on a copy: a server that starts mends files as it sees fit. Raises OSError, too."""
    with tempfile.TemporaryDirectory(prefix="podwire-log-", dir=_roomy(folder)) as place:
        try:
            shutil.copytree(folder / JETSTREAM, Path(place) / JETSTREAM)
        except shutil.Error as error:  # one entry for each file that could not be copied
            source, _, why = error.args[0][0]
            raise UserError(f"{source}: {str(why).partition('] ')[2] or why}") from None
        async with serving(Path(place)) as bus:
            yield bus


def _roomy(folder: Path) -> Path:
    """Where a copy of the folder's log fits. Raises UserError."""
    needed = sum(path.stat().st_size for path in (folder / JETSTREAM).rglob("*") if path.is_file())
    places = (Path(tempfile.gettempdir()), folder)
    for place in places:
        if shutil.disk_usage(place).free > needed:
            return place
    where = " or ".join(map(str, places))
    raise UserError(f"{folder}: the event log is read from a copy, and {needed:,} bytes are not free in {where}")


async def _connected(server: NatsServer, password: str) -> NatsBus:
    end = time.monotonic() + _PATIENCE
    while server.is_running and time.monotonic() < end:
        bus = NatsBus("history", RandomStream(secrets.randbits(64)))
        try:
            await bus.connect(server.url, _USER, password, timeout=2)
            await bus.stream_state(2.0)
        except StreamUnavailable:  # an answer, though there may be no stream
            return bus
        except BusError:
            await asyncio.sleep(0.02)
        else:
            return bus
    raise NatsServerError(f"nats-server does not serve the event log: {server.complaint() or 'it does not answer'}")
