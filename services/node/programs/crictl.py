"""crictl ps and pods (cri-tools 1.33, cmd/crictl): the machine's own containers and sandboxes, as CRI has them."""

from collections.abc import Callable
from typing import Final

from podwire.services.chassis.clock import SECOND
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord

_ID_LENGTH: Final = 13
_WIDTH: Final = 20
_PADDING: Final = 3
_LONG: Final = {
    "all": "a",
    "quiet": "q",
    "name": "name:",
    "state": "s:",
    "pod": "p:",
    "namespace": "namespace:",
    "no-trunc": "no-trunc",
    "latest": "l",
}
_NOT_BUILT: Final = (
    *("attach", "create", "exec", "port-forward", "images", "image", "inspect", "inspecti", "inspectp", "imagefsinfo"),
    *("logs", "port", "pull", "run", "runp", "rm", "rmi", "rmp", "start", "info", "stop", "stopp", "update", "config"),
    *("stats", "statsp", "events", "checkpoint", "runtime-config"),
)
_UNITS: Final = (
    (2 * 365 * 86400, 365 * 86400, "years"),
    (60 * 86400, 30 * 86400, "months"),
    (14 * 86400, 7 * 86400, "weeks"),
    (48 * 3600, 86400, "days"),
    (0, 3600, "hours"),
)
"""From how many seconds on, in which unit."""


async def crictl(process: Process) -> int:
    """crictl ps|pods [-a] [-q] [--name NAME] [--state STATE] [--pod ID] [--namespace NAME] [--no-trunc]"""
    command, *words = [word for word in process.arguments[1:] if not word.startswith("--runtime-endpoint")] or ["help"]
    try:
        if command in _NOT_BUILT:
            raise UsageError(f"crictl {command}: not built: ps and pods are")
        if command not in ("ps", "pods"):
            raise UsageError(f'No help topic for "{command}"')
        options = parse_options(words, "aqls:p:", _LONG)
    except UsageError as error:
        await process.complain(str(error))
        return 1
    if process.machine is None:
        await process.complain("validate service connection: no runtime endpoint: only machines have one")
        return 1
    show = _containers if command == "ps" else _pods
    await process.print(show(process, options))
    return 0


def _containers(process: Process, options: Options) -> str:
    assert process.machine is not None
    records = process.machine.runtime.containers.records.values()
    fits = _wanted(options)
    chosen = [each for each in records if fits(each)]
    chosen.sort(key=lambda each: -each.created_at)
    chosen = chosen[:1] if "l" in options else chosen
    if "q" in options:
        return "".join(f"{each.id}\n" for each in chosen)
    heading = ("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE")
    rows: list[tuple[str, ...]] = [heading]
    rows += [_container_row(each, process.clock.now_ns(), _shortener(options)) for each in chosen]
    return _table(rows)


def _wanted(options: Options) -> Callable[[ContainerRecord], bool]:
    state = options.value("s").upper() or ("" if "a" in options or "l" in options else "RUNNING")

    def fits(record: ContainerRecord) -> bool:
        return (
            state in ("", record.state)
            and options.value("name") in record.config.name
            and record.sandbox.id.startswith(options.value("p"))
            and options.value("namespace") in ("", record.sandbox.config.namespace)
        )

    return fits


def _container_row(record: ContainerRecord, now: int, short: Callable[[str], str]) -> tuple[str, ...]:
    config, sandbox = record.config, record.sandbox
    created, state = _age(now - record.created_at), record.state.capitalize()
    place = (short(sandbox.id), sandbox.config.name, sandbox.config.namespace)
    return (short(record.id), config.image, created, state, config.name, str(config.attempt), *place)


def _pods(process: Process, options: Options) -> str:
    assert process.machine is not None
    state = options.value("s").upper()
    chosen = [
        each
        for each in process.machine.runtime.sandboxes.records.values()
        if state in ("", each.state)
        and options.value("name") in each.config.name
        and options.value("namespace") in ("", each.config.namespace)
    ]
    chosen.sort(key=lambda each: -each.created_at)
    if "q" in options:
        return "".join(f"{each.id}\n" for each in chosen)
    rows: list[tuple[str, ...]] = [("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME")]
    rows += [_pod_row(each, process.clock.now_ns(), _shortener(options)) for each in chosen]
    return _table(rows)


def _pod_row(record: SandboxRecord, now: int, short: Callable[[str], str]) -> tuple[str, ...]:
    config, state = record.config, "Ready" if record.state == "READY" else "NotReady"
    created = _age(now - record.created_at)
    return short(record.id), created, state, config.name, config.namespace, str(config.attempt), "(default)"


def _shortener(options: Options) -> Callable[[str], str]:
    return (lambda text: text) if "no-trunc" in options else (lambda text: text[:_ID_LENGTH])


def _table(rows: list[tuple[str, ...]]) -> str:
    """Go's tabwriter with cells of 20 at least and a padding of 3."""
    widths = [max(_WIDTH, max(len(row[at]) for row in rows) + _PADDING) for at in range(len(rows[0]) - 1)]
    lines = ["".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)) + row[-1] for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _age(nanoseconds: int) -> str:
    """go-units' HumanDuration, and ago."""
    seconds = nanoseconds // SECOND
    if seconds < 1:
        return "Less than a second ago"
    if seconds < 60:
        return "1 second ago" if seconds == 1 else f"{seconds} seconds ago"
    if seconds < 120:
        return "About a minute ago"
    if seconds < 3600:
        return f"{seconds // 60} minutes ago"
    if seconds < 2 * 3600:
        return "About an hour ago"
    _, unit, name = next(each for each in _UNITS if seconds >= each[0])
    return f"{seconds // unit} {name} ago"
