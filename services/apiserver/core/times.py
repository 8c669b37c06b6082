"""Times that users send, and the ages that printers show.

Source: apimachinery `meta/v1/time.go`, `util/duration/duration.go`.
"""

import re
from typing import Final

from podwire.proto.kube.times import SECOND, moment

_RFC3339: Final = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def parse_time(text: object) -> int | None:
    """Nanoseconds since the epoch, or None when the text is no RFC 3339 time."""
    if not isinstance(text, str) or not _RFC3339.match(text):
        return None
    return moment(text.upper())


def human_duration(nanoseconds: int) -> str:
    """A span as `kubectl get` prints it (duration.HumanDuration)."""
    seconds = nanoseconds // SECOND if nanoseconds >= 0 else -(-nanoseconds // SECOND)
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 10:
        return _pair(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    return f"{hours}h" if hours < 48 else _days(hours)


def _days(hours: int) -> str:
    if hours < 24 * 8:
        return _pair(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    years = hours // 24 // 365
    if hours < 24 * 365 * 8:
        return _pair(years, "y", hours // 24 % 365, "d")
    return f"{years}y"


def _pair(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def age(timestamp: object, now_ns: int) -> str:
    """The age cell of a timestamp; `<unknown>` when there is none."""
    since = parse_time(timestamp)
    return "<unknown>" if since is None else human_duration(now_ns - since)
