"""Running programs in containers: the main program of an image, and those of exec."""

import asyncio
from typing import TYPE_CHECKING

from podwire.services.node.images.image import Image
from podwire.services.node.network.sockets import Network
from podwire.services.node.pipes import BrokenPipe, Reader, Writer
from podwire.services.node.process import Process, Program
from podwire.services.node.runtime.records import ContainerRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine


def handles_termination(program: Program) -> Program:
    """Marks a program that ends by itself on SIGTERM. As a container's first process any other ignores it (signal(7):
    PID 1 gets only signals that it handles)."""
    program.handles_termination = True  # type: ignore[attr-defined]  # functions may carry attributes
    return program


def is_terminable(program: Program) -> bool:
    """Whether the program ends on SIGTERM."""
    return bool(getattr(program, "handles_termination", False))


def command_line(image: Image, record: ContainerRecord) -> list[str]:
    """The container's argv: `command` replaces the image's entrypoint and drops its arguments (Kubernetes docs)."""
    config = record.config
    if config.command:
        return [*config.command, *config.arguments]
    return [*image.entrypoint, *(config.arguments or image.arguments)]


def find_program(programs: dict[str, Program], name: str) -> Program | None:
    """A program by name or path."""
    return programs.get(name.rpartition("/")[2])


def container_process(
    machine: "Machine",
    record: ContainerRecord,
    image: Image,
    arguments: list[str],
    streams: tuple[Reader, Writer, Writer],
    trace: str = "",
) -> Process:
    """The surroundings of a program in a container."""
    sandbox = record.sandbox
    return Process(
        arguments=arguments,
        environment={**image.environment, **record.config.environment},
        files=record.files,
        network=Network(machine.shell, sandbox.namespace, trace),
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        hostname=sandbox.config.hostname or sandbox.config.name,
        clock=machine.clock,
        random=machine.random,
        programs=image.programs,
        folder=record.config.working_folder or "/",
        machine=machine if sandbox.config.host_network else None,
        is_terminal=record.config.tty,
        user=record.config.user,
        group=record.config.group,
        process_names=lambda: _seen_processes(machine, record),
    )


def _seen_processes(machine: "Machine", record: ContainerRecord) -> list[str]:
    """Command lines in the container's process namespace: its own, its target's, or the whole pod's."""
    containers, sandbox = machine.runtime.containers, record.sandbox
    if sandbox.config.shares_processes:
        shown = [entry for entry in containers.of(sandbox.id) if entry.state == "RUNNING"]
        return ["/pause", *(containers.command_of(entry) for entry in shown)]
    if sandbox.config.host_pid:
        return [containers.command_of(entry) for entry in containers.records.values() if entry.state == "RUNNING"]
    target = containers.records.get(record.config.target)
    shown = [target] if target is not None and target.state == "RUNNING" else []
    return [containers.command_of(entry) for entry in [*shown, record]]


async def run(process: Process, program: Program) -> int:
    """The program's exit code; what a program fails at unexpectedly ends it as SIGABRT would."""
    try:
        return await program(process)
    except BrokenPipe:
        return 141
    except OSError as error:
        await _say(process, f"{process.arguments[0]}: {error.strerror or error}")
        return 1
    except asyncio.CancelledError:
        raise
    except Exception as error:
        await _say(process, f"{process.arguments[0]}: aborted: {type(error).__name__}: {error}")
        return 134


async def _say(process: Process, text: str) -> None:
    try:
        await process.complain(text)
    except BrokenPipe:
        pass
