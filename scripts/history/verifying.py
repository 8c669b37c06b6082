"""Whether a stopped cluster's event log is whole, before anything writes to it.

nats-server cuts a block file off at the first record that it cannot read, and goes on without the rest (seen with
2.15); so a copy is read, and what it holds is compared with what the API server has acknowledged.
"""

from collections.abc import Iterator

from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.scripts.history.reading import NoLog, read_stopped
from podwire.services.apiserver import high_water
from podwire.services.chassis import logs
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY


def verify(folder: ClusterFolder) -> None:
    """Raises UserError for a log that lost something, OSError for files that cannot be read."""
    logs.configure("error", "podwire", "cli")
    acknowledged = high_water.read(folder.acknowledged)
    try:
        log = read_stopped(folder)
    except NoLog as error:
        if acknowledged:
            what = f"{error}, though revision {acknowledged} was acknowledged"
            raise UserError(f"{what}; put a copy back, or begin anew after podwire down --purge") from None
        return
    for wrong in _lost(log, acknowledged):
        raise UserError(f"{folder.nats}: the event log is damaged: {wrong}; {_advice(folder)}")


def _lost(log: Log, acknowledged: int) -> Iterator[str]:
    if log.last < acknowledged:
        yield f"it can be read up to revision {log.last}, and revision {acknowledged} was acknowledged"
    known = {event.revision: None for event in log.events}
    for event in log.events:
        previous = event.event.previous
        key = event.key
        is_kept = event.revision > log.floor < previous and (key.group, key.resource) not in LAST_STATE_ONLY
        if is_kept and previous not in known:
            yield f"revision {previous} of {key.resource} {key.namespace}/{key.name} is gone"


def _advice(folder: ClusterFolder) -> str:
    return (
        f"nothing was changed; put a copy back, or go on with what can be read: "
        f"podwire history fork --from {folder.path} --data-dir NEW"
    )
