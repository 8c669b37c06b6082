"""The profile `clustered`: three NATS servers, and the event log on each of them."""

import asyncio
from collections.abc import Callable

import pytest
from tests.compose.composed import Composed

from podwire.proto.kube import resources
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError, ApiUnavailable

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]
HEALING = 60.0


class Writer:
    """Writes ConfigMaps, and remembers which were acknowledged."""

    def __init__(self, client: Client) -> None:
        self.acknowledged: list[str] = []
        self._client, self._number = client, 0

    async def write(self) -> bool:
        """One more; whether it was acknowledged."""
        self._number += 1
        name = f"written-{self._number}"
        try:
            async with asyncio.timeout(10):
                await self._client.api.create(resources.CONFIG_MAPS, "default", {"metadata": {"name": name}})
        except (ApiError, ApiUnavailable, TimeoutError):
            return False
        self.acknowledged.append(name)
        return True

    async def until_acknowledged(self) -> None:
        """Writes until one is. Fails when none is for a minute."""
        async with asyncio.timeout(HEALING):
            while not await self.write():
                await asyncio.sleep(0.1)

    async def lost(self) -> list[str]:
        """What was acknowledged and is not there."""
        there = {body["metadata"]["name"] for body in await self._client.api.list(resources.CONFIG_MAPS, "default")}
        return [name for name in self.acknowledged if name not in there]


async def ping(client: Client) -> bool:
    """Whether a packet goes from node-1 to node-2 and back."""
    call = messages.Connect(trace="", kind="icmp", address="172.18.0.4", timeout=1)
    try:
        answer = await client.ask_machine("node-1", call, 3)
    except UserError:
        return False
    return isinstance(answer, messages.Outcome) and answer.success


async def until_pinged(client: Client) -> None:
    async with asyncio.timeout(HEALING):
        while not await ping(client):
            await asyncio.sleep(0.1)


def test_one_server_of_three_may_die_and_a_second_stops_writes(new_cluster: Callable[[str], Composed]) -> None:
    cluster = new_cluster("clustered")
    cluster.up()

    async def main(client: Client) -> None:
        writer = Writer(client)
        await writer.until_acknowledged()
        for server in ("nats-2", "nats-3"):
            await asyncio.to_thread(cluster.kill, server)
            await until_pinged(client)
            if server == "nats-2":
                await writer.until_acknowledged()
                assert await writer.lost() == []
        assert not await writer.write()
        for server in ("nats-2", "nats-3"):
            await asyncio.to_thread(cluster.start, server)
        await writer.until_acknowledged()
        await until_pinged(client)
        assert await writer.lost() == []

    cluster.run(main)
