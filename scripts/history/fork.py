"""A second cluster's folder, whose event log is a copy of another's up to a revision, message by message.

Revisions stay what they were, because objects name them: what the first log does not hold any more is filled, so that
JetStream counts on, and then removed.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podwire.proto import subjects
from podwire.proto.subjects import ObjectKey
from podwire.scripts.cluster.credentials import write_private
from podwire.scripts.cluster.folder import ClusterFolder, FolderError
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.scripts.history.serving import serving
from podwire.services.chassis.bus.base import BusError, Stored
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.live.nats_server import NatsServer, NatsServerError

_AT_ONCE: Final = 500
_PATIENCE: Final = 30.0
_GAP: Final = subjects.object_events(ObjectKey("podwire", "gaps", "", "gap"))


def fork(log: Log, data_dir: str) -> ClusterFolder:
    """Makes the folder; `podwire up` continues it. Raises UserError."""
    folder = ClusterFolder(Path(data_dir))
    if folder.path.exists() and any(folder.path.iterdir()):
        raise UserError(f"--data-dir {folder.path}: something is there already; name a new folder")
    try:
        folder.make()
        folder.lock()
        asyncio.run(_fill(folder, log))
        shape = {"workers": log.shape.workers, "ip_family": log.shape.ip_family}
        write_private(folder.path / "cluster.json", json.dumps(shape).encode())
    except BaseException as error:
        folder.remove()
        if isinstance(error, FolderError | NatsServerError | BusError | OSError | TimeoutError):
            raise UserError(f"--data-dir {folder.path}: {error or 'the event log does not answer'}") from None
        raise
    finally:
        folder.unlock()
    return folder


async def _fill(folder: ClusterFolder, log: Log) -> None:
    async with serving(folder.nats) as bus:
        await bus.create_stream(NatsServer.STREAM, _PATIENCE)
        waiting: list[Stored] = []
        for stored in whole(log):
            waiting.append(stored)
            if len(waiting) == _AT_ONCE:
                await _append(bus, waiting)
                waiting.clear()
        await _append(bus, waiting)
        await bus.purge(_GAP, log.last + 1, _PATIENCE)


async def _append(bus: NatsBus, records: list[Stored]) -> None:
    """Many at once: the server takes those of one connection in order."""
    appended = await asyncio.gather(*(bus.append(each.subject, each.payload, None, _PATIENCE) for each in records))
    assert appended == [each.sequence for each in records]


def whole(log: Log) -> Iterator[Stored]:
    """The log from 1 to its end, with fillers where it holds nothing."""
    due = 1
    for record in log.records:
        yield from (Stored(sequence, _GAP, b"") for sequence in range(due, record.sequence))
        yield record
        due = record.sequence + 1
    yield from (Stored(sequence, _GAP, b"") for sequence in range(due, log.last + 1))
