"""Every bus, same tests: a fixture that connects users to a fresh server of either kind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from podwire.scripts.cluster.ports import free_port
from podwire.services.chassis.bus.base import Bus
from podwire.services.chassis.bus.memory import Broker
from podwire.services.chassis.bus.nats import NatsBus, wait_until_listening
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.chassis.chance import derive
from podwire.services.chassis.live.nats_server import Account, NatsServer, User

USERS = {
    "admin": User(password="a", publish=(">",), subscribe=(">",)),
    "limited": User(password="b", publish=("allowed.>",), subscribe=("allowed.>", "_INBOX.limited.>")),
}


class Harness:
    """One server; `connect(user)` gives a bus; `kill` and `restart` act on the server."""

    def __init__(
        self,
        connect: Callable[[str, str], Awaitable[Bus]],
        kill: Callable[[], Awaitable[None]],
        restart: Callable[[], Awaitable[None]],
    ) -> None:
        self.connect, self.kill, self.restart = connect, kill, restart


async def memory_harness() -> Harness:
    broker = Broker(derive(1, "broker"))
    broker.users = {name: Permissions(user.publish, user.subscribe) for name, user in USERS.items()}

    async def connect(name: str, user: str) -> Bus:
        return broker.connect(name, user)

    async def kill() -> None:
        broker.kill()

    async def restart() -> None:
        broker.restart()

    return Harness(connect, kill, restart)


@pytest.fixture(params=["memory", "nats"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    if request.param == "memory":
        yield await memory_harness()
        return
    server = NatsServer(tmp_path, free_port(), Account(USERS, system_password="s"))
    server.start()
    await wait_until_listening("127.0.0.1", server.port)
    buses: list[NatsBus] = []

    async def connect(name: str, user: str) -> Bus:
        bus = NatsBus(name, derive(2, name))
        await bus.connect(server.url, user, USERS[user].password)
        buses.append(bus)
        return bus

    async def kill() -> None:
        server.kill()
        while any(bus.connected for bus in buses):
            await asyncio.sleep(0)

    async def restart() -> None:
        server.start()
        await wait_until_listening("127.0.0.1", server.port)
        while not all(bus.connected for bus in buses):
            await asyncio.sleep(0)

    first = await connect("setup", "admin")
    assert isinstance(first, NatsBus)
    await first.create_stream(NatsServer.STREAM, 5.0)
    yield Harness(connect, kill, restart)
    for bus in buses:
        await bus.close()
    server.kill()
