"""RFC 3339 times from and to integer nanoseconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(now_ns: int) -> str:
    """Whole seconds, UTC."""
    return (_EPOCH + timedelta(seconds=now_ns // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: object) -> int:
    """Nanoseconds since the epoch; 0 for anything that is no time."""
    if not isinstance(text, str):
        return 0
    try:
        span = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        return 0
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1000
