"""The parent of a live cluster's processes: forks them from a preloaded interpreter, and keeps one of each running.

It makes no loop, no thread and no TLS context, so that its children start from a clean state. It only keeps idle
processes waiting: whether a container gets work is for the kubelet's back-off alone. When it dies, all exit.
"""

import gc
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Never

from podwire.scripts.cluster.components import COMPONENTS, preload
from podwire.scripts.cluster.folder import ClusterFolder, RunningProcess
from podwire.scripts.cluster.layout import MACHINE, ProcessPlan
from podwire.services.chassis.live.nats_server import NatsServer
from podwire.services.chassis.live.process import Family, new_instance, run
from podwire.services.chassis.settings import ProcessSettings, load

_SHORT_LIFE: Final = 1.0
_LONGEST_PAUSE: Final = 2.0
_TICK: Final = 1.0
NATS: Final = "nats"


@dataclass(slots=True)
class _Slot:
    """One planned process, and what is known of the one that runs for it."""

    plan: ProcessPlan
    pid: int = 0
    instance: str = ""
    started: float = 0.0
    claimed: bool = False
    restarts: int = 0
    pause: float = 0.0
    due: float = 0.0
    is_extra: bool = False


@dataclass(slots=True)
class Supervisor:
    """Runs a plan until it is told to stop, or until `owner` (a pipe) reads end-of-file."""

    folder: ClusterFolder
    nats: NatsServer
    plans: tuple[ProcessPlan, ...]
    passwords: dict[str, str]
    owner: int | None = None
    _slots: list[_Slot] = field(default_factory=list)
    _stopping: bool = False
    _nats_pid: int = 0
    _parent_pipe: tuple[int, int] = (0, 0)
    _claims_pipe: tuple[int, int] = (0, 0)
    _wakeup: tuple[int, int] = (0, 0)
    _told: list[RunningProcess] = field(default_factory=list)
    _had_room: bool = True

    def run(self) -> None:
        """Blocks until stopped; then kills everything that it started."""
        self._prepare()
        try:
            while not self._stopping:
                self._start_what_is_due()
                self._tell()
                self._mind_the_disk()
                self._wait()
                self._read_claims()
                self._reap()
        finally:
            self._kill_all()

    def _prepare(self) -> None:
        self._parent_pipe, self._claims_pipe, self._wakeup = os.pipe(), os.pipe(), os.pipe()
        for descriptor in (*self._wakeup, self._claims_pipe[0]):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._wakeup[1])
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        preload()
        gc.collect()
        gc.freeze()
        self._slots = [_Slot(plan) for plan in self.plans]

    def _stop(self, *_: object) -> None:
        self._stopping = True

    # -- waiting

    def _wait(self) -> None:
        now = time.monotonic()
        pauses = [slot.due - now for slot in self._slots if not slot.pid]
        descriptors = [self._wakeup[0], self._claims_pipe[0], *([self.owner] if self.owner is not None else [])]
        ready, _, _ = select.select(descriptors, [], [], max(0.0, min([_TICK, *pauses])))
        if self._wakeup[0] in ready:
            os.read(self._wakeup[0], 4096)
        if self.owner is not None and self.owner in ready:
            self._stopping = True

    def _read_claims(self) -> None:
        try:
            told = os.read(self._claims_pipe[0], 65536).split()
        except BlockingIOError:
            return
        for word in told:
            slot = next((slot for slot in self._slots if slot.pid == int(word)), None)
            if slot is not None and not slot.claimed:
                slot.claimed = True
                if slot.plan.spare:
                    self._slots.append(_Slot(slot.plan, is_extra=True))

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._nats_pid:
                self._nats_pid = 0
                continue
            slot = next((slot for slot in self._slots if slot.pid == pid), None)
            if slot is not None:
                self._ended(slot)

    def _ended(self, slot: _Slot) -> None:
        if slot.plan.spare and self._has_idle(slot):
            self._slots.remove(slot)
            return
        now = time.monotonic()
        lived = now - slot.started
        slot.pause = min(_LONGEST_PAUSE, max(0.05, slot.pause * 2)) if lived < _SHORT_LIFE else 0.0
        slot.pid, slot.claimed, slot.due = 0, False, now + slot.pause
        slot.restarts += 1

    def _has_idle(self, ended: _Slot) -> bool:
        return any(slot.plan is ended.plan and not slot.claimed and slot is not ended for slot in self._slots)

    # -- starting

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        if not self._nats_pid and self.folder.held_until(NATS) <= now:
            self._nats_pid = self.nats.start()
        for slot in self._slots:
            if not slot.pid and slot.due <= now:
                slot.due = min(self.folder.held_until(slot.plan.place), now + _TICK)
                if slot.due <= now:
                    slot.instance, slot.started = new_instance(), now
                    slot.pid = self._fork(slot)

    def _fork(self, slot: _Slot) -> int:
        pid = os.fork()
        if pid == 0:
            self._child(slot)
        return pid

    def _child(self, slot: _Slot) -> Never:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            os.close(self._parent_pipe[1])
            os.close(self._claims_pipe[0])
            _redirect(self.folder.logs / f"{slot.plan.place}.log")
            family = Family(self._parent_pipe[0], self._claims_pipe[1])
            component = slot.plan.component
            code = run(component, self._settings(slot), COMPONENTS[component].service, family)
        finally:
            try:
                sys.stderr.flush()
            except OSError:  # a full disk
                pass
            os._exit(code)

    def _settings(self, slot: _Slot) -> ProcessSettings:
        plan = slot.plan
        given = {
            "instance": slot.instance,
            "node": plan.node,
            "bus_url": self.nats.url,
            "bus_user": plan.user,
            "bus_password": self.passwords[plan.user],
            "disk": str(self.folder.disks / plan.node) if plan.component == MACHINE else "",
            **plan.settings,
        }
        return load(COMPONENTS[plan.component].settings, given, {})

    # -- telling and ending

    def _tell(self) -> None:
        running = [_running(slot) for slot in self._slots if slot.pid]
        if self._nats_pid:
            running.append(RunningProcess(NATS, "", NATS, self._nats_pid, False, 0, NATS))
        if running != self._told:
            try:
                self.folder.write_processes(running)
            except OSError:
                return  # a full disk: the next turn tries again
            self._told = running

    def _mind_the_disk(self) -> None:
        """A disk that was full has room again: nats-server refuses to write until it is started anew (2.15)."""
        has_room = self.folder.has_room
        if has_room and not self._had_room:
            self.nats.kill()
            self._nats_pid = 0
        self._had_room = has_room

    def _kill_all(self) -> None:
        for slot in self._slots:
            if slot.pid:
                _kill(slot.pid)
        self.nats.kill()


def _running(slot: _Slot) -> RunningProcess:
    plan = slot.plan
    return RunningProcess(plan.component, plan.node, slot.instance, slot.pid, slot.claimed, slot.restarts, plan.place)


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
