"""The log as it grows."""

import asyncio
from collections.abc import Callable

from podwire.proto import subjects
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.history.changes import Change, change
from podwire.scripts.history.choosing import Filter
from podwire.services.chassis.eventlog.log import EventLog, StoredEvent


def follow(data_dir: str, wanted: Filter, tell: Callable[[Change], None]) -> None:
    """Tells every change of a running cluster, past and coming, until interrupted. Raises UserError."""

    def take(stored: StoredEvent) -> None:
        if wanted.may_take(stored) and wanted.takes(told := change(stored)):
            tell(told)

    async def work(client: Client) -> None:
        nothing: Callable[[int], None] = lambda revision: None  # noqa: E731 - a listener that has nothing to do
        await EventLog(client.bus).follow([subjects.ALL_EVENTS], 1, take, nothing, lambda: None).run()

    try:
        run_connected(data_dir, work)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return
