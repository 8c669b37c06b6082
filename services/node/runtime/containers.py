"""Containers: created, started, stopped, ended; their programs run here or in the process that claimed them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import runtime as messages
from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.files import ContainerFiles, Files, Mounted
from podwire.services.node.images.catalogue import find_image
from podwire.services.node.images.image import Image
from podwire.services.node.process import Program
from podwire.services.node.process_clock import ProcessClock, executed
from podwire.services.node.processes import TERMINATE, signal_number
from podwire.services.node.runtime import programs
from podwire.services.node.runtime.attachments import main_streams
from podwire.services.node.runtime.claimed import ClaimedContainer
from podwire.services.node.runtime.etc import etc_files
from podwire.services.node.runtime.exit_codes import KILLED, START_ERROR
from podwire.services.node.runtime.failures import CallFailed
from podwire.services.node.runtime.last_words import termination_message
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_IMAGE_FOLDERS: Final = ("/home", "/root", "/tmp", "/var/tmp")
"""What every image with a shell has (Filesystem Hierarchy Standard)."""


def image_of(record: ContainerRecord) -> Image:
    """The image that a container runs."""
    return find_image(record.config.image, record.config.ports)


def stand_in(record: ContainerRecord) -> str:
    """What runs in the place of an image that nobody knows, "" for one that is known."""
    config, image = record.config, image_of(record)
    if config.claimed or image.known:
        return ""
    words = programs.command_line(image, record)
    name = words[0].rpartition("/")[2] if words else ""
    if dict.get(image.programs, name) is not None:
        return f'podwire does not know the image "{config.image}": {name} runs with the programs of an Alpine image'
    ports = ", ".join(f"{port}/{protocol}" for protocol, port in config.ports) or "none"
    text = f'podwire does not know the image "{config.image}": a generic server answers on its declared ports ({ports})'
    return text + "; command and args have no effect" if config.command or config.arguments else text


class Containers:
    """All containers of a machine, and the claims of those that are served elsewhere."""

    def __init__(self, machine: "Machine") -> None:
        self.records: dict[str, ContainerRecord] = {}
        self.claims: dict[str, ClaimedContainer] = {}
        self._machine = machine

    def get(self, name: str) -> ContainerRecord:
        """A container by id. Raises CallFailed."""
        if (record := self.records.get(name)) is None:
            raise CallFailed("NotFound", f'container "{name}" not found')
        return record

    def running(self, name: str) -> ContainerRecord:
        """A running container. Raises CallFailed."""
        record = self.get(name)
        if record.state != "RUNNING":
            raise CallFailed("FailedPrecondition", "the container is not running")
        return record

    def command_of(self, record: ContainerRecord) -> str:
        """A container's command line, as ps shows it."""
        return " ".join(programs.command_line(image_of(record), record)) or record.config.image

    def of(self, sandbox: str) -> list[ContainerRecord]:
        """The containers of a sandbox."""
        return [entry for entry in self.records.values() if entry.sandbox.id == sandbox]

    # -- beginning

    def create(self, sandbox: SandboxRecord, config: messages.ContainerConfig) -> ContainerRecord:
        """A container that does not run yet."""
        identifier = hexadecimal(self._machine.random, 64)
        files = self._files(sandbox, config)
        pids = programs.pids_of(self._machine, sandbox, self.records.get(config.target))
        record = ContainerRecord(identifier, sandbox, config, self._machine.clock.now_ns(), files, pids)
        self.records[identifier] = record
        self.changed(sandbox.id, identifier, record.state)
        return record

    def _files(self, sandbox: SandboxRecord, config: messages.ContainerConfig) -> ContainerFiles:
        image = find_image(config.image, config.ports)
        last_words = {config.termination_message_path: b""} if config.termination_message_path else {}
        own = Files({**image.files, **etc_files(sandbox, self._machine), **last_words})
        for folder in _IMAGE_FOLDERS:
            own.make_folder(folder)
        mounts = [Mounted(mount.container_path, mount.host_path, mount.read_only) for mount in config.mounts]
        return ContainerFiles(self._machine.files, own, mounts, config.read_only_root)

    def start(self, record: ContainerRecord, claimant: str) -> None:
        """Runs its program, or hands it to its claimant. Raises CallFailed."""
        if record.state != "CREATED":
            raise CallFailed("FailedPrecondition", f"the container is {record.state}")
        record.state, record.started_at = "RUNNING", self._machine.clock.now_ns()
        if record.config.claimed:
            record.claimant = claimant
            self.claims[record.id] = claim = ClaimedContainer(self._machine, record, self._on_claim_end(record))
            self._show_claimed(record, claim)
            claim.start()
        else:
            self._run_program(record)
        self.changed(record.sandbox.id, record.id, record.state)

    def _show_claimed(self, record: ContainerRecord, claim: ClaimedContainer) -> None:
        """A process that lives elsewhere is seen, and stopped, as any other."""
        words = self.command_of(record).split()
        now = self._machine.clock.now_ns()
        record.main = record.processes.start(words, user=record.config.user, started_at=now)
        record.main.handlers[TERMINATE] = lambda _: claim.stop()

    def _on_claim_end(self, record: ContainerRecord) -> Callable[[int, str, str], None]:
        def ended(code: int, reason: str, message: str) -> None:
            self.claims.pop(record.id, None)
            self.exited(record, code, reason, message)

        return ended

    def _run_program(self, record: ContainerRecord) -> None:
        image = image_of(record)
        arguments = programs.command_line(image, record)
        program = programs.find_program(image.programs, arguments[0]) if arguments else None
        if program is None:
            name = arguments[0] if arguments else ""
            text = f'exec: "{name}": executable file not found in $PATH'
            self.exited(record, START_ERROR, "StartError", text)
            return
        work = self._main(record, image, arguments, program)
        record.tasks.append(self._machine.tasks.start(work, name=f"container {record.config.name}"))

    async def _main(self, record: ContainerRecord, image: Image, arguments: list[str], program: Program) -> None:
        streams = main_streams(record, self._machine.clock)
        process = programs.container_process(self._machine, record, image, arguments, streams)
        process.is_main = True
        process.clock = executed(ProcessClock(self._machine.clock, record.shift))
        if record.terminal is not None:
            record.tasks.append(self._machine.tasks.start(record.terminal.pump(), name="terminal"))
        record.main = programs.begin(process, program)
        process = replace(process, running=record.main)
        code = await record.main.run(lambda: programs.run_in_place(process, program))
        self.exited(record, code, "Completed" if code == 0 else "Error")

    def shift_clock(self, record: ContainerRecord, offset: int) -> None:
        """Shifts the wall clock of the programs that run in it by `offset` (ns) in all. Raises CallFailed."""
        if record.config.claimed:
            text = f"{record.config.name} is a process of the cluster's own, whose clock is its machine's"
            raise CallFailed("Unimplemented", text)
        if offset != record.shift.offset:
            record.shift.offset, record.shift.since = offset, self._machine.clock.monotonic_ns()

    # -- ending

    def exited(self, record: ContainerRecord, code: int, reason: str, message: str = "") -> None:
        """The main program ended; whatever else runs in the container ends with it."""
        if record.state == "EXITED":
            return
        now = self._machine.clock.now_ns()
        record.state, record.finished_at, record.exit_code = "EXITED", now, code
        record.reason, record.message = reason, message or termination_message(record)
        record.started_at = record.started_at or now
        record.log.finish(now)
        if record.main is not None:
            record.processes.end(record.main)
        tasks, record.tasks = record.tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.changed(record.sandbox.id, record.id, record.state)

    def kill(self, record: ContainerRecord) -> None:
        """SIGKILL."""
        if record.state != "RUNNING":
            return
        claim = self.claims.get(record.id)
        if claim is not None:
            claim.end(KILLED, "Error")
        else:
            self.exited(record, KILLED, "Error")

    def stop(self, name: str, grace: float) -> None:
        """SIGTERM, or the signal that the container or its image asks for, and SIGKILL after `grace` seconds."""
        record = self.records.get(name)
        if record is None or record.state != "RUNNING":
            return
        if grace <= 0 or record.config.stop_signal == "SIGKILL":
            self.kill(record)
            return
        claim = self.claims.get(name)
        if claim is not None:
            claim.stop()
        elif record.main is not None:
            record.main.send(signal_number(record.config.stop_signal) or TERMINATE)
        record.tasks.append(self._machine.tasks.start(self._kill_later(record, grace), name="grace period"))

    async def _kill_later(self, record: ContainerRecord, grace: float) -> None:
        await asyncio.sleep(grace)
        self.kill(record)

    def remove(self, name: str) -> None:
        """Forgets a container, killing it if need be."""
        record = self.records.get(name)
        if record is None:
            return
        self.kill(record)
        del self.records[name]
        self.changed(record.sandbox.id, name, "REMOVED")

    def changed(self, sandbox: str, container: str, state: str) -> None:
        """Tells kubelets that something changed."""
        machine = self._machine
        event = messages.ContainerChanged(boot_id=machine.boot_id, sandbox=sandbox, container=container, state=state)
        machine.bus.publish(subjects.runtime_events(machine.name), codec.encode(event))
