"""A command's connection to a running cluster, as its operator."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podwire.scripts.cluster.folder import ClusterFile, ClusterFolder, FolderError
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.services.chassis import logs
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.live.clock import LiveClock


@dataclass(frozen=True, slots=True)
class Client(Operator):
    """The operator of a live cluster."""

    bus: NatsBus
    cluster: ClusterFile
    folder: ClusterFolder


async def connect(cluster: ClusterFile, folder: ClusterFolder, attempts: int = 1) -> Client:
    """Connects as the operator. Raises UserError."""
    bus = NatsBus(f"operator.{secrets.token_hex(4)}", RandomStream(secrets.randbits(64)))
    for attempt in range(attempts):
        try:
            await bus.connect(cluster.bus_url, cluster.operator, cluster.password, timeout=2)
            break
        except BusError as error:
            if attempt + 1 == attempts:
                raise UserError(f"the cluster's bus does not answer: {error}") from None
            bus = NatsBus(bus.name, RandomStream(secrets.randbits(64)))
            await asyncio.sleep(0.02)
    random = RandomStream(secrets.randbits(64))
    return Client(bus, ApiClient(bus, cluster.operator), LiveClock(), random, cluster, folder)


@asynccontextmanager
async def connected(data_dir: str) -> AsyncIterator[Client]:
    """A client of the cluster that runs in a folder. Raises UserError."""
    folder = ClusterFolder(Path(data_dir))
    try:
        client = await connect(folder.read_cluster(), folder)
    except FolderError as error:
        raise UserError(str(error)) from None
    try:
        yield client
    finally:
        await client.bus.close()


def run_connected[T](data_dir: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Runs a coroutine with a client. Raises UserError for what the API refuses."""
    logs.configure("error", "podwire", "cli")

    async def main() -> T:
        async with connected(data_dir) as client:
            return await work(client)

    try:
        return asyncio.run(main())
    except ApiError as error:
        raise UserError(str(error)) from None
    except ApiUnavailable as error:
        raise UserError(f"the API server does not answer: {error}") from None


Json = dict[str, Any]
