"""What a target names among the processes of a running cluster."""

from podwire.scripts.cluster.folder import RunningProcess
from podwire.scripts.errors import UserError


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
