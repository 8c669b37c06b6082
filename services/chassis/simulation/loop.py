"""An event loop without a selector: virtual time, and an order of execution that follows from the seed.

Each simulated process has a ready queue of its own, first in, first out, as asyncio gives a real process; which process
runs next is drawn from the seed, as a scheduler of an operating system might have it. When nothing is ready, time jumps
to the next timer (integer nanoseconds, ties broken by the seed). Threads, sockets, subprocesses and signals do not
exist here and raise.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Never

from podwire.services.chassis.chance import RandomStream, below
from podwire.services.chassis.clock import SECOND

current_process: contextvars.ContextVar[str] = contextvars.ContextVar("current_process", default="")

EPOCH: Final = 1_700_000_000 * SECOND
"""Wall time at the start of every simulation that does not go on from another."""


class NothingLeft(RuntimeError):
    """No handle is ready and no timer is set: everybody waits for ever."""


class Forbidden(RuntimeError):
    """Something that a simulation cannot repeat."""


class SimulationLoop(asyncio.AbstractEventLoop):
    """Runs coroutines in virtual time."""

    def __init__(self, seed: int, began_ns: int = EPOCH) -> None:
        self.now_ns = 0
        self.began_ns = began_ns
        self.steps = 0
        self.failures: list[dict[str, Any]] = []
        self._random = RandomStream(seed)
        self._ready: dict[str, deque[asyncio.Handle]] = {}
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._paused: dict[str, None] = {}
        self._tasks: dict[str, dict[asyncio.Task[Any], None]] = {}
        self._count = 0
        self._running = False
        self._stopping = False
        self._closed = False

    def reseed(self, seed: int) -> None:
        """From now on the order of execution follows from another seed."""
        self._random = RandomStream(seed)

    # -- time and order

    def time(self) -> float:
        return self.now_ns / SECOND

    def call_soon(  # type: ignore[override]  # TypeVarTuples say no more than Any here
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context or contextvars.copy_context())
        self._enqueue(handle)
        return handle

    def _enqueue(self, handle: asyncio.Handle) -> None:
        name = handle.get_context().get(current_process, "")
        queue = self._ready.get(name)
        if queue is None:
            queue = self._ready[name] = deque()
        queue.append(handle)

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self._set_timer(self.now_ns + max(0, round(delay * SECOND)), callback, args, context)

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self._set_timer(round(when * SECOND), callback, args, context)

    def _set_timer(
        self, due: int, callback: Callable[..., object], args: Any, context: contextvars.Context | None
    ) -> asyncio.TimerHandle:
        self._count += 1
        due = max(due, self.now_ns)
        timer = asyncio.TimerHandle(due / SECOND, callback, args, self, context or contextvars.copy_context())
        heapq.heappush(self._timers, (due, self._count, timer))
        return timer

    def run_forever(self) -> None:
        if self._running:
            raise RuntimeError("the loop is running")
        self._running, self._stopping = True, False
        asyncio._set_running_loop(self)
        try:
            while not self._stopping:
                self._step()
        finally:
            self._running = False
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        ready, paused = self._ready, self._paused
        runnable = [name for name in ready if name not in paused] if paused else list(ready)
        if not runnable:
            self._advance()
            return
        name = runnable[below(self._random, len(runnable))] if len(runnable) > 1 else runnable[0]
        queue = ready[name]
        handle = queue.popleft()
        if not queue:
            del ready[name]
        if not handle.cancelled():
            self.steps += 1
            handle._run()

    def _advance(self) -> None:
        """Time goes on to the next timer; those that are due at that moment become ready in an order that is drawn."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise NothingLeft("nothing is ready and no timer is set")
        self.now_ns = now = max(self.now_ns, timers[0][0])
        due = []
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled():
                due.append(timer)
        while due:
            self._enqueue(due.pop(below(self._random, len(due)) if len(due) > 1 else 0))

    def run_until_complete[T](self, future: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:  # type: ignore[override]  # no awaitables of other sorts
        task = future if isinstance(future, asyncio.Future) else self.create_task(future)
        task.add_done_callback(lambda _: self.stop())
        self.run_forever()
        return task.result()

    def stop(self) -> None:
        self._stopping = True

    # -- processes

    def create_task[T](self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:
        context = options.get("context") or contextvars.copy_context()
        task = asyncio.Task(coro, loop=self, name=options.get("name"), context=context)
        owned = self._tasks.setdefault(context.get(current_process, ""), {})
        owned[task] = None
        task.add_done_callback(lambda done: owned.pop(done, None))
        return task

    def spawn[T](self, process: str, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts a simulated process's first task."""
        context = contextvars.copy_context()
        context.run(current_process.set, process)
        return self.create_task(coroutine, name=process, context=context)

    def kill(self, process: str) -> None:
        """Ends a simulated process: all its tasks, in the order of their start. Cut its bus first."""
        self.resume(process)
        for task in list(self._tasks.get(process, {})):
            task.cancel()

    def pause(self, process: str) -> None:
        """SIGSTOP: nothing of the process runs; its timers and messages wait."""
        self._paused[process] = None

    def resume(self, process: str) -> None:
        """SIGCONT."""
        self._paused.pop(process, None)

    # -- the rest of what asyncio asks of a loop

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        raise Forbidden("debug mode")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is dropped when its time comes."""

    async def shutdown_asyncgens(self) -> None:
        """There are none that are left open."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""


_FORBIDDEN: Final = (
    "call_soon_threadsafe",
    "run_in_executor",
    "getaddrinfo",
    "getnameinfo",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "create_datagram_endpoint",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_shell",
    "subprocess_exec",
    "add_reader",
    "add_writer",
    "sock_recv",
    "sock_sendall",
    "sock_connect",
    "sock_accept",
    "add_signal_handler",
)


def _refusal(name: str) -> Callable[..., Never]:
    def refuse(*_: object, **__: object) -> Never:
        raise Forbidden(f"{name} does not exist in simulation")

    return refuse


for _name in _FORBIDDEN:
    setattr(SimulationLoop, _name, _refusal(_name))


class SimulatedClock:
    """The loop's virtual time; a process may run on a skewed wall clock."""

    def __init__(self, loop: SimulationLoop, skew_ns: int = 0) -> None:
        self._loop, self.skew_ns = loop, skew_ns

    def now_ns(self) -> int:
        return self._loop.began_ns + self._loop.now_ns + self.skew_ns

    def monotonic_ns(self) -> int:
        return self._loop.now_ns
