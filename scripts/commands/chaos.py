"""`podwire chaos`: kill -9, pause and resume processes of the running cluster."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from podwire.scripts.cluster.folder import ClusterFolder, FolderError, RunningProcess
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError

app = typer.Typer(help="Break the running cluster.", no_args_is_help=True)

Target = Annotated[str, typer.Argument(help="kube-proxy@node-1, coredns/0, node-2, apiserver, nats, …")]


@app.command()
def kill(target: Target, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """kill -9; the supervisor keeps a new process waiting."""
    _send(target, signal.SIGKILL, "killed", data_dir)


@app.command()
def pause(target: Target, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """SIGSTOP: the process does nothing, and is not dead."""
    _send(target, signal.SIGSTOP, "paused", data_dir)


@app.command()
def resume(target: Target, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """SIGCONT."""
    _send(target, signal.SIGCONT, "resumed", data_dir)


def _send(target: str, number: signal.Signals, done: str, data_dir: str) -> None:
    folder = ClusterFolder(Path(data_dir))
    try:
        folder.read_cluster()
        process = find(target, folder.read_processes())
    except FolderError as error:
        raise UserError(str(error)) from None
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        raise UserError(f"{target}: process {process.pid} has just ended; try again") from None
    typer.echo(f"{done} {target} (pid {process.pid})")


def find(target: str, processes: list[RunningProcess]) -> RunningProcess:
    """The process that a target names: COMPONENT, COMPONENT@NODE, COMPONENT/INDEX, or a machine's name.

    Raises UserError with the targets that there are.
    """
    candidates = _candidates(target, processes)
    if len(candidates) == 1:
        return candidates[0]
    known = ", ".join(dict.fromkeys(name(entry, processes) for entry in processes))
    if not candidates:
        raise UserError(f"target {target!r}: there is no such process; there are {known}")
    choices = ", ".join(name(entry, processes) for entry in candidates)
    raise UserError(f"target {target!r} is ambiguous: {choices}")


def _candidates(target: str, processes: list[RunningProcess]) -> list[RunningProcess]:
    component, at, node = target.partition("@")
    if at:
        return [entry for entry in processes if (entry.component, entry.node) == (component, node)]
    component, slash, index = target.partition("/")
    if slash:
        serving = [entry for entry in processes if entry.component == component and entry.claimed]
        return serving[int(index) : int(index) + 1] if index.isdigit() else []
    machines = [entry for entry in processes if entry.component == "node" and entry.node == target]
    return machines or [entry for entry in processes if entry.component == target]


def name(process: RunningProcess, processes: list[RunningProcess]) -> str:
    """The shortest target that names a process."""
    if process.component == "node":
        return process.node
    same = [entry for entry in processes if entry.component == process.component]
    if len(same) == 1:
        return process.component
    if process.node:
        return f"{process.component}@{process.node}"
    serving = [entry for entry in same if entry.claimed]
    return f"{process.component}/{serving.index(process)}" if process in serving else process.component
