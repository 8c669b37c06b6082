"""A CronJob's schedule: five fields or a descriptor, in a time zone.

Source: kubernetes `pkg/controller/cronjob/utils.go`, robfig/cron v3 `parser.go` (ParseStandard). The fields themselves
are read by cronsim, which is Debian's cron to the letter (day of month and day of week: either one, unless one is *).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000


class BadSchedule(ValueError):
    """A schedule that cannot be read; the text says why."""


def parse(schedule: str) -> str:
    """The five fields of a schedule; raises BadSchedule."""
    if schedule.startswith("@"):
        if schedule not in _DESCRIPTORS:
            raise BadSchedule(f"unrecognized descriptor: {schedule}")
        return _DESCRIPTORS[schedule]
    fields = schedule.split()
    if len(fields) != 5:
        raise BadSchedule(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    try:
        CronSim(" ".join(fields), _EPOCH)
    except CronSimError as error:
        raise BadSchedule(f"{error} in {schedule!r}") from None
    return " ".join(fields)


def is_zone(name: str) -> bool:
    """Whether a time zone has this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def times(schedule: str, zone: str, after_ns: int) -> Iterator[int]:
    """The moments (ns since the epoch) of a schedule after one, in order; raises BadSchedule."""
    start = (_EPOCH + timedelta(seconds=after_ns // _SECOND)).astimezone(ZoneInfo(zone) if zone else UTC)
    for moment in CronSim(parse(schedule), start):
        span = moment.astimezone(UTC) - _EPOCH
        yield (span.days * 86_400 + span.seconds) * _SECOND
