"""Running programs in containers: the main program of an image, and those of exec."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from podwire.services.node.images.image import Image
from podwire.services.node.network.sockets import Network
from podwire.services.node.pipes import BrokenPipe, Reader, Writer
from podwire.services.node.process import Process, Program
from podwire.services.node.process_clock import clock_of_machine, executed
from podwire.services.node.processes import PidNamespace, Running
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine


TERMINAL: Final = {"TERM": "xterm"}
"""What containerd says to programs on a terminal (oci.WithTTY)."""


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
        environment={**(TERMINAL if record.config.tty else {}), **image.environment, **record.config.environment},
        files=record.files,
        network=Network(machine.shell, sandbox.namespace, trace, user=record.config.user, group=record.config.group),
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        hostname=sandbox.config.hostname or sandbox.config.name,
        clock=machine.clock,
        random=machine.random,
        programs=image.programs,
        library=image.library,
        folder=record.config.working_folder or "/",
        machine=machine if sandbox.config.host_network else None,
        terminal=record.terminal,
        user=record.config.user,
        group=record.config.group,
        processes=record.processes,
    )


def pids_of(machine: "Machine", sandbox: SandboxRecord, target: ContainerRecord | None) -> PidNamespace:
    """The process namespace of a new container: the machine's, the pod's, its target's, or one of its own."""
    if sandbox.config.host_pid:
        return machine.processes
    if sandbox.config.shares_processes:
        return sandbox.processes
    return target.processes if target is not None else PidNamespace(machine.processes)


def begin(process: Process, program: Program) -> Running:
    """A new process in the place of a program's surroundings; the first one on a terminal leads it."""
    running = process.processes.start(
        process.arguments,
        process.running,
        user=process.user,
        started_at=clock_of_machine(process.clock).now_ns(),
        graceful=is_terminable(program),
        has_terminal=process.is_terminal,
    )
    if process.terminal is not None and process.terminal.leader is None:
        process.terminal.leader = running
    return running


async def run(process: Process, program: Program) -> int:
    """Runs a program as a process of its own; its exit code."""
    process = replace(process, clock=executed(process.clock))
    running = begin(process, program)
    return await running.run(lambda: run_in_place(replace(process, running=running), program))


async def run_in_place(process: Process, program: Program) -> int:
    """Runs a program in the process that there is; what it fails at unexpectedly ends it as SIGABRT would."""
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
