"""Kubernetes' times (apimachinery `meta/v1/time.go`, `micro_time.go`): RFC 3339 from and to integer nanoseconds."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(now_ns: int) -> str:
    """A metav1.Time: whole seconds, UTC."""
    return _second(now_ns // SECOND)


@lru_cache(256)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> int | None:
    """Nanoseconds since the epoch; None for anything that is no time."""
    return _moment(text) if isinstance(text, str) else None


@lru_cache(4096)
def _moment(text: str) -> int | None:
    try:
        span = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return None
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1000


def parse(text: object) -> int:
    """The same; 0 for anything that is no time."""
    return moment(text) or 0
