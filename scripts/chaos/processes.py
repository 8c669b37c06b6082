"""Ending, pausing and going on with the processes of a running cluster; the supervisor starts them again."""

import os
import signal
import time
from typing import Final

from podwire.scripts.chaos.targets import find
from podwire.scripts.cluster.folder import ClusterFolder, FolderError, RunningProcess
from podwire.scripts.errors import UserError

_LOOK_EVERY: Final = 0.02
_PATIENCE: Final = 10.0


def send(folder: ClusterFolder, target: str, number: signal.Signals) -> None:
    """Sends a signal to the process that a target names. Raises UserError."""
    _send(target, find(target, _processes(folder)), number)


def kill(folder: ClusterFolder, target: str, seconds: float = 0.0) -> None:
    """kill -9; nothing takes the process's place for so many seconds. Raises UserError."""
    process = find(target, _processes(folder))
    if seconds:
        folder.hold(process.place, time.monotonic() + seconds)
    _send(target, process, signal.SIGKILL)


def kill_when_there(folder: ClusterFolder, target: str, seconds: float) -> None:
    """kill -9 once the target is there, and then lets some seconds pass. Raises UserError when it does not come."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            send(folder, target, signal.SIGKILL)
            break
        except UserError:
            if time.monotonic() > end:
                raise
            time.sleep(_LOOK_EVERY)
    time.sleep(seconds)


def power_off(folder: ClusterFolder, machine: str, seconds: float) -> list[str]:
    """Ends everything on a machine, which boots after so many seconds; the places of what ended. Raises UserError."""
    processes = _processes(folder)
    on_it = [process for process in processes if process.node == machine]
    if not on_it:
        known = ", ".join(dict.fromkeys(process.node for process in processes if process.node))
        raise UserError(f"machine {machine!r}: there is no such machine; there are {known}")
    until = time.monotonic() + seconds
    for process in on_it:
        folder.hold(process.place, until)
    for process in on_it:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return [process.place for process in on_it]


def _processes(folder: ClusterFolder) -> list[RunningProcess]:
    try:
        return folder.read_processes()
    except FolderError as error:
        raise UserError(str(error)) from None


def _send(target: str, process: RunningProcess, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        raise UserError(f"{target}: process {process.pid} has just ended; try again") from None
