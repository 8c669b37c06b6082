"""Time as an argument: a Clock is handed in, and all times are integer nanoseconds."""

from typing import Final, Protocol

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000


class Clock(Protocol):
    """Reads time for one process; simulated processes share a virtual one."""

    def now_ns(self) -> int:
        """Wall time in nanoseconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; only differences mean something."""
        ...
