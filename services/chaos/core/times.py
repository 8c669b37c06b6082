"""Kubernetes' times (metav1.Time) as ns since the epoch."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: object) -> int:
    """Nanoseconds since the epoch; 0 for what is no time."""
    try:
        span = datetime.fromisoformat(str(text)) - _EPOCH
    except (ValueError, TypeError):
        return 0
    return (span.days * 86_400 + span.seconds) * SECOND


def rfc3339(now_ns: int) -> str:
    """Whole seconds, UTC."""
    return (_EPOCH + timedelta(seconds=now_ns // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")
