"""Processes of a machine: ids in nested namespaces (pid_namespaces(7)), and signals (signal(7)).

A process is a coroutine. What it started ends with it; stopping one (SIGSTOP) is not possible.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
SIGNALS: Final[dict[str, int]] = {name: number for number, name in enumerate(_NAMES.split(), 1)}
"""On x86-64."""
INTERRUPT, QUIT, KILL, TERMINATE, WINDOW_CHANGED = 2, 3, 9, 15, 28
STOPPING: Final = (19, 20, 21, 22)
_HARMLESS: Final = (17, 18, 23, 28)
"""Whose default is to be ignored; SIGCONT continues what is never stopped."""
_ENDING: Final = (INTERRUPT, QUIT, TERMINATE)

Handler = Callable[[int], None]


def signal_number(text: str) -> int | None:
    """`TERM`, `SIGTERM` or `15` as a number, None for anything else; 0 only tests."""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit() and len(name) <= 2 and int(name) <= 64:
        return int(name)
    return SIGNALS.get(name)


def signal_name(number: int) -> str:
    """`TERM` for 15."""
    return next((name for name, value in SIGNALS.items() if value == number), str(number))


@dataclass(slots=True, eq=False)
class Running:
    """One process. `handlers` says what it does on a signal (None: it ignores it); `graceful` that its program ends by
    itself when it is asked to."""

    arguments: list[str]
    namespace: "PidNamespace"
    user: int = 0
    started_at: int = 0
    parent: "Running | None" = None
    graceful: bool = False
    has_terminal: bool = False
    background: bool = False
    handlers: dict[int, Handler | None] = field(default_factory=dict)
    children: list["Running"] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    """Its ids by the depth of the namespace: 0 is the machine's."""
    ended_by: int = 0
    _task: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """Its id in its own namespace."""
        return self.numbers[self.namespace.depth]

    async def run(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Runs to the end, or to the signal that ends it; the exit code."""
        if (code := self._code()) is not None:
            self.namespace.end(self)
            return code
        name = self.arguments[0] if self.arguments else ""
        self._task = asyncio.get_running_loop().create_task(work(), name=name)
        try:
            return await self._task
        except asyncio.CancelledError:
            caller, code = asyncio.current_task(), self._code()
            if code is None or (caller is not None and caller.cancelling()):
                raise
            return code
        finally:
            self.namespace.end(self)

    def _code(self) -> int | None:
        """The exit code after a signal, None without one."""
        if not self.ended_by:
            return None
        return 0 if self.graceful and self.ended_by != KILL else 128 + self.ended_by

    def become(self, arguments: list[str], *, graceful: bool) -> None:
        """execve(2): another program in this process; handlers are lost, what is ignored stays ignored."""
        self.arguments, self.graceful = arguments, graceful
        self.handlers = {number: None for number, handler in self.handlers.items() if handler is None}

    def send(self, number: int, sender: "PidNamespace | None" = None) -> None:
        """Delivers a signal. The first process of a namespace gets from inside only what it handles, from outside
        SIGKILL as well."""
        if number in self.handlers and number != KILL:
            handler = self.handlers[number]
            if handler is not None:
                handler(number)
            return
        if number in _HARMLESS or number in STOPPING or number == 0:
            return
        is_first = self.pid == 1 and not (number == KILL and sender is not self.namespace)
        if is_first and not (self.graceful and number in _ENDING):
            return
        self.ended_by = number
        if self._task is not None:
            self._task.cancel()

    def foreground(self) -> list["Running"]:
        """What it runs and waits for, the innermost first."""
        found = []
        for child in self.children:
            if not child.background:
                found += [*child.foreground(), child]
        return found


class PidNamespace:
    """Processes by id; those of a namespace are seen in the ones around it too."""

    def __init__(self, parent: "PidNamespace | None" = None, first: int = 1) -> None:
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self._parent, self._last = parent, first - 1
        self._processes: dict[int, Running] = {}
        self._kept: dict[asyncio.Task[int], None] = {}

    def start(self, arguments: list[str], parent: Running | None = None, **more: Any) -> Running:
        """A new process; `more` are fields of Running."""
        running = Running(arguments, self, parent=parent, **more)
        if parent is not None:
            running.handlers = {number: None for number, handler in parent.handlers.items() if handler is None}
            parent.children.append(running)
        for namespace in self._outwards():
            running.numbers[namespace.depth] = namespace._add(running)
        return running

    def end(self, running: Running) -> None:
        """It is gone. Idempotent."""
        for namespace in self._outwards():
            namespace._processes.pop(running.numbers[namespace.depth], None)
        if running.parent is not None and running in running.parent.children:
            running.parent.children.remove(running)
        for child in running.children:
            child.parent = self.find(1)
        if running.pid == 1 and self._parent is not None:
            self._kill_all()

    def _kill_all(self) -> None:
        """The kernel does so when a namespace's first process ends."""
        for running in list(self._processes.values()):
            running.send(KILL)

    def keep(self, task: asyncio.Task[int]) -> None:
        """A process that goes on when the one that started it has ended, until this namespace ends."""
        self._kept[task] = None
        task.add_done_callback(lambda done: self._kept.pop(done, None))

    def find(self, number: int) -> Running | None:
        """A process by its id here."""
        return self._processes.get(number)

    def listing(self) -> list[tuple[int, Running]]:
        """All that can be seen from here, by id."""
        return sorted(self._processes.items())

    def parent_number(self, running: Running) -> int:
        """The id of its parent here, 0 if that cannot be seen."""
        return running.parent.numbers.get(self.depth, 0) if running.parent is not None else 0

    def _outwards(self) -> Iterator["PidNamespace"]:
        namespace: PidNamespace | None = self
        while namespace is not None:
            yield namespace
            namespace = namespace._parent

    def _add(self, running: Running) -> int:
        self._last += 1
        self._processes[self._last] = running
        return self._last
