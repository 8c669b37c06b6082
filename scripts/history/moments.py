"""What `--at`, `--since`, `--good` and `--bad` mean: a revision, a time, or how long ago."""

from datetime import datetime

from podwire.proto.kube.times import rfc3339
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.services.apiserver.core.errors import expired
from podwire.services.apiserver.core.times import parse_time
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.durations import parse_duration

_WANTED = "a revision, a time as 2026-01-31T12:00:00Z or 12:00:00 (today, local), or how long ago as in 5m is needed"


def moment(text: str, option: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of a time or of how long ago. Raises UserError."""
    ago = parse_duration(text)
    if ago is not None:
        return now_ns - round(ago * SECOND)
    found = parse_time(text)
    if found is None:
        found = _today(text, now_ns)
    if found is None:
        raise UserError(f"{option} {text}: {_WANTED}")
    return found


def _today(text: str, now_ns: int) -> int | None:
    """A local clock time of the day that `now_ns` is in."""
    today = datetime.fromtimestamp(now_ns / SECOND).astimezone()
    for form in ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M"):
        try:
            clock = datetime.strptime(text, form)
        except ValueError:
            continue
        whole = today.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
        return int(whole.timestamp()) * SECOND + clock.microsecond * 1000
    return None


def revision(log: Log, text: str, option: str, now_ns: int) -> int:
    """The revision that is meant ("": the last). Raises UserError for one that is not there yet or not any more."""
    if not text:
        return log.last
    if text.isascii() and text.isdigit() and len(text) < 19:
        found = int(text)
        if found > log.last:
            raise UserError(f"{option} {text}: the log ends at revision {log.last}")
    else:
        found = _at(log, moment(text, option, now_ns))
    if found < log.first:
        raise UserError(f"{option} {text}: {_gone(log, found)}")
    return found


def _gone(log: Log, found: int) -> str:
    began = rfc3339(log.time_of(log.first))
    return f"{expired(found, log.first)} (410 Gone): history begins at revision {log.first}, {began}"


def _at(log: Log, time: int) -> int:
    """The last revision that was written up to a time; writers' clocks may differ, so all are looked at."""
    return max((event.revision for event in log.events if event.event.time <= time), default=0)
