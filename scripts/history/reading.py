"""Where a log is read: from a running cluster's bus, from a stopped cluster's folder, or from an exported file."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.client import Client, connected
from podwire.scripts.cluster.folder import ClusterFolder, FolderError, Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history import file
from podwire.scripts.history.log import Log
from podwire.scripts.history.serving import JETSTREAM, serving_copy
from podwire.services.chassis import logs
from podwire.services.chassis.bus import base, pieces
from podwire.services.chassis.bus.nats import NatsBus
from podwire.services.chassis.eventlog.follow import Follower, Silence
from podwire.services.chassis.live.nats_server import NatsServerError

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """A cluster's folder, or an exported file if one is named."""

    data_dir: str
    file: str = ""

    def __str__(self) -> str:
        return f"--log {self.file}" if self.file else f"--data-dir {self.data_dir}"


def read(source: Source) -> Log:
    """The whole log. Raises UserError."""
    logs.configure("error", "podwire", "cli")
    if source.file:
        return file.load(Path(source.file))
    folder = ClusterFolder(Path(source.data_dir))
    try:
        if folder.is_running or folder.is_of_containers:
            return asyncio.run(_of_running(source.data_dir))
        return read_stopped(folder)
    except (FolderError, NatsServerError) as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{error.filename or folder.path}: {error.strerror}") from None


async def _of_running(data_dir: str) -> Log:
    async with connected(data_dir) as client:
        shape = Shape(client.cluster.workers, client.cluster.ip_family)
        return await _copied(client.bus, shape, await _hops(client))


async def _hops(client: Client) -> tuple[Hop, ...]:
    """What the recorder knows of recent packets; nothing if it is dead."""
    try:
        payload = await pieces.request(client.bus, subjects.TRACES, b"", 5.0)
    except base.BusError:
        return ()
    return tuple(codec.decode_union(list[Hop], payload))


class NoLog(UserError):
    """The folder has no event log, or none that can be read."""


def read_stopped(folder: ClusterFolder) -> Log:
    """The log of a cluster that does not run; nothing of it is touched. Raises NoLog, UserError, OSError."""
    if not (folder.nats / JETSTREAM).exists():
        raise NoLog(f"{folder.path}: there is no event log")
    try:
        return asyncio.run(_of_stopped(folder))
    except base.StreamUnavailable:
        raise NoLog(f"{folder.path}: there is no event log that can be read") from None


async def _of_stopped(folder: ClusterFolder) -> Log:
    shape = folder.previous()
    if shape is None:
        text = "it says how many nodes the cluster has; put a copy back"
        raise UserError(f"{folder.path}/cluster.json cannot be read: {text}")
    async with serving_copy(folder.nats) as bus:
        return await _copied(bus, shape, ())


async def _copied(bus: NatsBus, shape: Shape, hops: tuple[Hop, ...]) -> Log:
    """Everything that the stream holds now."""
    await bus.stream_state(_PATIENCE)
    records: list[base.Stored] = []
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_current(revision: int) -> None:
        if not done.done():
            done.set_result(revision)

    wanted = [subjects.ALL_EVENTS, subjects.FLOOR]
    follower = Follower(bus, wanted, 1, records.append, on_current, records.clear, Silence())
    following = asyncio.get_running_loop().create_task(follower.run())
    try:
        last = await _while_it_goes_on(done, records)
    except TimeoutError:
        raise UserError(f"the event log does not answer within {_PATIENCE:g} s") from None
    finally:
        follower.close()
        following.cancel()
    return Log(follower.birth, shape, tuple(records), last, hops)


async def _while_it_goes_on(done: asyncio.Future[int], records: Sequence[base.Stored]) -> int:
    """Waits as long as records come: a log of a gigabyte takes its time. Raises TimeoutError."""
    known = -1
    while len(records) > known:
        known = len(records)
        try:
            return await asyncio.wait_for(asyncio.shield(done), _PATIENCE)
        except TimeoutError:
            continue
    raise TimeoutError
