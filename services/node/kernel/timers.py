"""Deadlines in integer ns, fired in order of time and then of arming."""

import heapq
from collections.abc import Callable


class Timer:
    """One callback with at most one deadline; cheap to push back again and again.

    Setting a later deadline leaves the heap alone: the entry re-arms itself when it surfaces early.
    """

    __slots__ = ("_queued_for", "_wheel", "callback", "deadline")

    def __init__(self, wheel: "TimerWheel", callback: Callable[[], None]) -> None:
        self._wheel = wheel
        self._queued_for: int | None = None
        self.callback = callback
        self.deadline: int | None = None

    def set(self, deadline: int) -> None:
        """Fire at `deadline` (ns) instead of whenever it was going to."""
        self.deadline = deadline
        if self._queued_for is None or deadline < self._queued_for:
            self._queued_for = deadline
            self._wheel.push(deadline, self)

    def cancel(self) -> None:
        """Don't fire."""
        self.deadline = None

    def surface(self, queued_for: int) -> bool:
        """Tell the timer that its heap entry came up; whether it is to fire now."""
        if queued_for != self._queued_for:
            return False
        self._queued_for = None
        if self.deadline is None:
            return False
        if self.deadline > queued_for:
            self.set(self.deadline)
            return False
        self.deadline = None
        return True


class TimerWheel:
    """All timers of one kernel."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._serial = 0

    def push(self, deadline: int, timer: Timer) -> None:
        """Queue a heap entry for a timer."""
        self._serial += 1
        heapq.heappush(self._heap, (deadline, self._serial, timer))

    def next_deadline(self) -> int | None:
        """When the next timer wants to fire (ns), None if none does."""
        heap = self._heap
        while heap:
            queued_for, _, timer = heap[0]
            if timer.deadline is not None and timer.deadline <= queued_for:
                return queued_for
            heapq.heappop(heap)
            timer.surface(queued_for)
        return None

    def pop_due(self, now: int) -> Timer | None:
        """The next timer whose deadline has passed, already disarmed; None if there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            queued_for, _, timer = heapq.heappop(heap)
            if timer.surface(queued_for):
                return timer
        return None
