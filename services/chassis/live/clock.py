"""The machine's own clock."""

import time


class LiveClock:
    """Wall and monotonic time of this machine."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
