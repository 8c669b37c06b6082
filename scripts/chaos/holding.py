"""Keeping links and clocks of a running cluster wrong: processes that start meanwhile are told within a second."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from podwire.scripts.chaos.standing import Standing, Wrong, macs, tell
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError

_TELL_EVERY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Holding:
    """What one command keeps wrong: how many processes heard it at once, and a task that ends when somebody else has
    healed the cluster."""

    told: int
    healed: asyncio.Task[None]


async def _keep_telling(client: Client, standing: Standing) -> None:
    while standing.is_in_force:
        await asyncio.sleep(_TELL_EVERY)
        await tell(client, standing.all())


def check_machines(client: Client, names: Iterable[str], field: str = "machine") -> None:
    """Raises UserError for a machine that there is not, by the field that names it."""
    known = macs(client.cluster)
    for name in names:
        if name not in known:
            raise UserError(f"{field} {name!r}: there is no such machine; there are {', '.join(known)}")


@asynccontextmanager
async def holding(client: Client, wrong: Wrong) -> AsyncIterator[Holding]:
    """It is wrong from here to the end of the block, whatever ends that."""
    standing = Standing(client.folder.path)
    standing.add(wrong)
    try:
        told = await tell(client, standing.all())
        telling = asyncio.get_running_loop().create_task(_keep_telling(client, standing))
        try:
            yield Holding(told, telling)
        finally:
            telling.cancel()
    finally:
        standing.remove()
        await tell(client, standing.all())
