"""Kubernetes' times (apimachinery `meta/v1/time.go`, `micro_time.go`): RFC 3339 from and to integer nanoseconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(now_ns: int) -> str:
    """A metav1.Time: whole seconds, UTC."""
    return (_EPOCH + timedelta(seconds=now_ns // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> int | None:
    """Nanoseconds since the epoch; None for anything that is no time."""
    if not isinstance(text, str):
        return None
    try:
        span = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return None
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1000


def parse(text: object) -> int:
    """The same; 0 for anything that is no time."""
    return moment(text) or 0
