"""Programs that are run in a running container beside its own: exec with streams, and exec for probes; and attach."""

import asyncio
from typing import TYPE_CHECKING, Final

from podwire.proto.messages import runtime as messages
from podwire.services.node.pipes import NewlineWriter, NoInput, Sink
from podwire.services.node.runtime import programs
from podwire.services.node.runtime.attachments import attach, follow
from podwire.services.node.runtime.containers import Containers, image_of
from podwire.services.node.runtime.exit_codes import KILLED, NEVER_RAN, NOT_FOUND
from podwire.services.node.runtime.records import ContainerRecord
from podwire.services.node.runtime.sessions import Session
from podwire.services.node.terminal import Terminal

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_MOST_OUTPUT: Final = 256 * 1024


class Executions:
    """Starts programs in containers."""

    def __init__(self, machine: "Machine", containers: Containers) -> None:
        self._machine, self._containers = machine, containers

    def start(self, call: messages.StartExec) -> None:
        """Runs a program whose streams go over the bus. Raises CallFailed."""
        record = self._containers.running(call.container)
        machine = self._machine
        session = Session(machine.bus, machine.name, call.session, call.stdin)
        if call.attach:
            join = follow if record.config.claimed else attach
            main = session.serve(machine.tasks, join(record, session), killed=(0, ""))
        else:
            main = session.serve(machine.tasks, self._run(record, call, session))
        record.tasks.append(main)
        main.add_done_callback(lambda done: record.tasks.remove(done) if done in record.tasks else None)

    async def _run(self, record: ContainerRecord, call: messages.StartExec, session: Session) -> None:
        image = image_of(record)
        program = programs.find_program(image.programs, call.command[0]) if call.command else None
        if program is None:
            session.finish(NEVER_RAN, _not_found(call))
            return
        if not call.tty:
            streams = (session.stdin, session.stdout, session.stderr)
            process = programs.container_process(self._machine, record, image, call.command, streams)
            process.terminal = None
            session.finish(await programs.run(process, program))
            return
        terminal = Terminal(session.stdin if call.stdin else None, session.stdout)
        session.watch_size(terminal.resize)
        shown = NewlineWriter(session.stdout)
        process = programs.container_process(self._machine, record, image, call.command, (terminal, shown, shown))
        process.terminal = terminal
        process.environment |= programs.TERMINAL
        pump = self._machine.tasks.start(terminal.pump(), name="terminal")
        try:
            session.finish(await programs.run(process, program))
        finally:
            pump.cancel()

    async def run_to_end(self, call: messages.ExecSync) -> messages.ExecResult:
        """Runs a program and collects its output. Raises CallFailed."""
        record = self._containers.running(call.container)
        image = image_of(record)
        program = programs.find_program(image.programs, call.command[0]) if call.command else None
        if program is None:
            return messages.ExecResult(code=NOT_FOUND, stdout=b"", stderr=b"executable file not found")
        output, errors = bytearray(), bytearray()
        streams = (NoInput(), Sink(output.extend), Sink(errors.extend))
        process = programs.container_process(self._machine, record, image, call.command, streams)
        process.terminal = None
        try:
            code = await asyncio.wait_for(programs.run(process, program), call.timeout)
        except TimeoutError:
            return messages.ExecResult(code=KILLED, stdout=bytes(output), stderr=b"command timed out")
        return messages.ExecResult(code=code, stdout=bytes(output[:_MOST_OUTPUT]), stderr=bytes(errors[:_MOST_OUTPUT]))


def _not_found(call: messages.StartExec) -> str:
    """containerd's text, as the kubelet's stream server passes it on (kubelet `remotecommand/exec.go`)."""
    name = call.command[0] if call.command else ""
    return (
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start "
        f'exec "{call.session}": OCI runtime exec failed: exec failed: unable to start container process: '
        f'exec: "{name}": executable file not found in $PATH: unknown'
    )
