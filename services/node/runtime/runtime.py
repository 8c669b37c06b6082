"""CRI's verbs on one machine."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import runtime as messages
from podwire.proto.messages.process import Ended
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.cni.chain import CniError, add_network, delete_network, network_condition
from podwire.services.node.files import ContainerFiles, FileError, Files, Mounted
from podwire.services.node.images.catalogue import find_image
from podwire.services.node.network.sockets import Network
from podwire.services.node.pipes import NoInput, Sink
from podwire.services.node.runtime import programs
from podwire.services.node.runtime.claimed import ClaimedContainer, end_silent_after_reconnect, foreign_caller
from podwire.services.node.runtime.etc import etc_files
from podwire.services.node.runtime.probes import probe
from podwire.services.node.runtime.records import ContainerRecord, SandboxRecord
from podwire.services.node.runtime.sessions import Session

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_MOST_OUTPUT: Final = 256 * 1024


class CallFailed(Exception):
    """A call that has no effect; `code` is a gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Runtime:
    """Sandboxes and containers of one machine, for as long as it has power."""

    def __init__(self, machine: "Machine") -> None:
        self.sandboxes: dict[str, SandboxRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self._machine = machine
        self._claims: dict[str, ClaimedContainer] = {}

    def serve(self) -> None:
        """Answers kubelets and claimed processes."""
        machine = self._machine
        Responder(machine.bus, machine.tasks, self._answer).serve(subjects.runtime(machine.name))
        machine.bus.subscribe(subjects.node_container_calls(machine.name), self._claimant_calls)
        machine.bus.subscribe(subjects.DISCONNECTS, self._connection_ended)
        machine.bus.on_connection(self._bus_changed)
        machine.shell.owner_of_namespace = self._pod_in

    def _pod_in(self, namespace: str) -> str:
        for record in self.sandboxes.values():
            if namespace and record.namespace == namespace:
                return f"{record.config.namespace}/{record.config.name}"
        return namespace

    # -- calls of the kubelet

    async def _answer(self, message: Message) -> bytes:
        try:
            request = codec.decode(messages.RuntimeRequest, message.payload)
            result = await self._call(request)
        except codec.ForeignMessage as error:
            result = messages.Failed(code="InvalidArgument", message=str(error))
        except CallFailed as error:
            result = messages.Failed(code=error.code, message=str(error))
        return codec.encode(messages.RuntimeAnswer(boot_id=self._machine.boot_id, result=result))

    async def _call(self, request: messages.RuntimeRequest) -> messages.Result:
        call = request.call
        if isinstance(call, messages.ListAll):
            return self._list_all()
        if request.boot_id != self._machine.boot_id:
            raise CallFailed("FailedPrecondition", "the machine has booted since: list again")
        match call:
            case messages.RunPodSandbox(config=config):
                return messages.SandboxAnswer(sandbox=(await self._run_sandbox(config)).status())
            case messages.StopPodSandbox(sandbox=name):
                await self._stop_sandbox(name)
            case messages.RemovePodSandbox(sandbox=name):
                await self._remove_sandbox(name)
            case messages.CreateContainer(sandbox=name, config=container):
                return messages.ContainerAnswer(container=self._create(name, container).status())
            case messages.StartContainer(container=name, claimant=claimant):
                self._start(self._container(name), claimant)
            case messages.StopContainer(container=name, grace=grace):
                self._stop(name, grace)
            case messages.RemoveContainer(container=name):
                self._remove(name)
            case messages.ReadLog(container=name, start=start):
                return self._read_log(name, start)
            case messages.StartExec():
                self._start_exec(call)
            case messages.ExecSync():
                return await self._exec_sync(call)
            case messages.WriteFiles(folder=folder, files=files):
                self._write_files(folder, files)
            case messages.RemoveFiles(folder=folder):
                self._machine.files.remove_tree(folder)
            case messages.NetworkStatus():
                ready, text = network_condition(self._machine)
                return messages.NetworkCondition(ready=ready, message=text)
            case messages.ProbePod():
                return await probe(Network(self._machine.shell, ""), call)
        return messages.Done()

    def _list_all(self) -> messages.Inventory:
        return messages.Inventory(
            sandboxes=[entry.status() for entry in self.sandboxes.values()],
            containers=[entry.status() for entry in self.containers.values()],
            address=self._machine.address,
        )

    # -- sandboxes

    async def _run_sandbox(self, config: messages.SandboxConfig) -> SandboxRecord:
        machine = self._machine
        identifier = hexadecimal(machine.random, 64)
        namespace = "" if config.host_network else f"cni-{hexadecimal(machine.random, 32)}"
        record = SandboxRecord(identifier, config, machine.clock.now_ns(), namespace)
        if config.host_network:
            record.address = machine.address
        else:
            await self._make_network(record)
        self.sandboxes[identifier] = record
        self._changed(record.id, "", record.state)
        return record

    async def _make_network(self, record: SandboxRecord) -> None:
        try:
            record.address = await add_network(self._machine, record)
        except CniError as error:
            await self._delete_network(record)
            text = f'failed to setup network for sandbox "{record.id}": {error}'
            raise CallFailed("Unknown", text) from None

    async def _delete_network(self, record: SandboxRecord) -> None:
        try:
            await delete_network(self._machine, record)
        except CniError as error:
            text = f'failed to destroy network for sandbox "{record.id}": {error}'
            raise CallFailed("Unknown", text) from None

    async def _stop_sandbox(self, name: str) -> None:
        record = self.sandboxes.get(name)
        if record is None or record.state == "NOTREADY":
            return
        for container in self._containers_of(name):
            self._kill(container, 137)
        if record.namespace:
            await self._delete_network(record)
        record.state = "NOTREADY"
        self._changed(name, "", record.state)

    def _containers_of(self, sandbox: str) -> list[ContainerRecord]:
        return [entry for entry in self.containers.values() if entry.sandbox.id == sandbox]

    async def _remove_sandbox(self, name: str) -> None:
        await self._stop_sandbox(name)
        for container in self._containers_of(name):
            self._remove(container.id)
        if self.sandboxes.pop(name, None) is not None:
            self._changed(name, "", "REMOVED")

    # -- containers

    def _container(self, name: str) -> ContainerRecord:
        if (record := self.containers.get(name)) is None:
            raise CallFailed("NotFound", f'container "{name}" not found')
        return record

    def _create(self, sandbox_name: str, config: messages.ContainerConfig) -> ContainerRecord:
        sandbox = self.sandboxes.get(sandbox_name)
        if sandbox is None or sandbox.state != "READY":
            raise CallFailed("NotFound", f'sandbox "{sandbox_name}" is not ready')
        identifier = hexadecimal(self._machine.random, 64)
        files = self._container_files(sandbox, config)
        record = ContainerRecord(identifier, sandbox, config, self._machine.clock.now_ns(), files)
        self.containers[identifier] = record
        self._changed(sandbox.id, identifier, record.state)
        return record

    def _container_files(self, sandbox: SandboxRecord, config: messages.ContainerConfig) -> ContainerFiles:
        image = find_image(config.image, config.ports)
        own = Files({**image.files, **etc_files(sandbox, self._machine)})
        mounts = [Mounted(mount.container_path, mount.host_path, mount.read_only) for mount in config.mounts]
        return ContainerFiles(self._machine.files, own, mounts)

    def _start(self, record: ContainerRecord, claimant: str) -> None:
        if record.state != "CREATED":
            raise CallFailed("FailedPrecondition", f"the container is {record.state}")
        record.state, record.started_at = "RUNNING", self._machine.clock.now_ns()
        if record.config.claimed:
            record.claimant = claimant
            self._claims[record.id] = claim = ClaimedContainer(self._machine, record, self._on_exit(record))
            claim.start()
        else:
            self._run_program(record)
        self._changed(record.sandbox.id, record.id, record.state)

    def _on_exit(self, record: ContainerRecord) -> Callable[[int, str, str], None]:
        def ended(code: int, reason: str, message: str) -> None:
            self._claims.pop(record.id, None)
            self._exited(record, code, reason, message)

        return ended

    def _run_program(self, record: ContainerRecord) -> None:
        image = find_image(record.config.image, record.config.ports)
        arguments = programs.command_line(image, record)
        program = programs.find_program(image.programs, arguments[0]) if arguments else None
        if program is None:
            name = arguments[0] if arguments else ""
            text = f'exec: "{name}": executable file not found in $PATH'
            self._exited(record, programs.START_ERROR, "StartError", text)
            return
        streams = programs.log_streams(self._machine, record)
        process = programs.container_process(self._machine, record, image, arguments, streams)

        async def main() -> None:
            code = await programs.run(process, program)
            self._exited(record, code, "Completed" if code == 0 else "Error")

        record.tasks.append(self._machine.tasks.start(main(), name=f"container {record.config.name}"))

    def _exited(self, record: ContainerRecord, code: int, reason: str, message: str = "") -> None:
        if record.state == "EXITED":
            return
        now = self._machine.clock.now_ns()
        record.state, record.finished_at, record.exit_code = "EXITED", now, code
        record.reason, record.message = reason, message
        record.started_at = record.started_at or now
        record.log.finish(now)
        tasks, record.tasks = record.tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._changed(record.sandbox.id, record.id, record.state)

    def _kill(self, record: ContainerRecord, code: int) -> None:
        if record.state != "RUNNING":
            return
        claim = self._claims.get(record.id)
        if claim is not None:
            claim.end(code, "Error")
        else:
            self._exited(record, code, "Error")

    def _stop(self, name: str, grace: float) -> None:
        record = self.containers.get(name)
        if record is None or record.state != "RUNNING":
            return
        claim = self._claims.get(name)
        if claim is not None:
            claim.stop()
        elif self._ends_on_sigterm(record):
            self._exited(record, 0, "Completed")
            return
        if grace <= 0:
            self._kill(record, programs.KILLED)
            return
        record.tasks.append(self._machine.tasks.start(self._kill_later(record, grace), name="grace period"))

    def _ends_on_sigterm(self, record: ContainerRecord) -> bool:
        image = find_image(record.config.image, record.config.ports)
        arguments = programs.command_line(image, record)
        program = programs.find_program(image.programs, arguments[0]) if arguments else None
        return program is not None and programs.is_terminable(program)

    async def _kill_later(self, record: ContainerRecord, grace: float) -> None:
        await asyncio.sleep(grace)
        self._kill(record, programs.KILLED)

    def _remove(self, name: str) -> None:
        record = self.containers.get(name)
        if record is None:
            return
        self._kill(record, programs.KILLED)
        del self.containers[name]
        self._changed(record.sandbox.id, name, "REMOVED")

    # -- logs, exec, files

    def _read_log(self, name: str, start: int) -> messages.LogLines:
        record = self._container(name)
        begin, lines = record.log.read(start)
        return messages.LogLines(start=begin, lines=lines, ended=record.state == "EXITED")

    def _start_exec(self, call: messages.StartExec) -> None:
        record = self._container(call.container)
        if record.state != "RUNNING":
            raise CallFailed("FailedPrecondition", "the container is not running")
        if call.attach:
            raise CallFailed("Unimplemented", "attach is not built yet: use logs -f or exec")
        if record.config.claimed:
            text = f"exec is not possible in {record.config.image}: its process runs outside the machine"
            raise CallFailed("Unimplemented", text)
        machine = self._machine
        running: list[asyncio.Task[None]] = []

        def end() -> None:
            for task in running:
                task.cancel()

        session = Session(machine.bus, machine.name, call.session, call.stdin, end)
        main = machine.tasks.start(self._run_exec(record, call, session), name="exec")
        running += [main, machine.tasks.start(session.feed(), name="exec input")]
        running.append(machine.tasks.start(session.watch(), name="exec liveness"))
        record.tasks.append(main)
        main.add_done_callback(lambda done: self._exec_over(record, session, running, done))

    def _exec_over(
        self,
        record: ContainerRecord,
        session: Session,
        running: list[asyncio.Task[None]],
        main: asyncio.Task[None],
    ) -> None:
        if main.cancelled():
            session.finish(programs.KILLED, "the container ended")
        for task in running:
            task.cancel()
        if main in record.tasks:
            record.tasks.remove(main)

    async def _run_exec(self, record: ContainerRecord, call: messages.StartExec, session: Session) -> None:
        image = find_image(record.config.image, record.config.ports)
        program = programs.find_program(image.programs, call.command[0]) if call.command else None
        if program is None:
            name = call.command[0] if call.command else ""
            session.finish(126, f'exec: "{name}": executable file not found in $PATH: unknown')
            return
        stderr = session.stdout if call.tty else session.stderr
        streams = (session.stdin, session.stdout, stderr)
        process = programs.container_process(self._machine, record, image, call.command, streams)
        process.is_terminal = call.tty
        session.finish(await programs.run(process, program))

    async def _exec_sync(self, call: messages.ExecSync) -> messages.ExecResult:
        record = self._container(call.container)
        if record.state != "RUNNING" or record.config.claimed:
            raise CallFailed("FailedPrecondition", "no program can be run in the container")
        image = find_image(record.config.image, record.config.ports)
        program = programs.find_program(image.programs, call.command[0]) if call.command else None
        if program is None:
            return messages.ExecResult(code=programs.NOT_FOUND, stdout=b"", stderr=b"executable file not found")
        output, errors = bytearray(), bytearray()
        streams = (NoInput(), Sink(output.extend), Sink(errors.extend))
        process = programs.container_process(self._machine, record, image, call.command, streams)
        try:
            code = await asyncio.wait_for(programs.run(process, program), call.timeout)
        except TimeoutError:
            return messages.ExecResult(code=programs.KILLED, stdout=bytes(output), stderr=b"command timed out")
        return messages.ExecResult(code=code, stdout=bytes(output[:_MOST_OUTPUT]), stderr=bytes(errors[:_MOST_OUTPUT]))

    def _write_files(self, folder: str, files: dict[str, bytes]) -> None:
        self._machine.files.remove_tree(folder)
        self._machine.files.make_folder(folder)
        try:
            for name, data in files.items():
                self._machine.files.write(f"{folder}/{name}", data)
        except FileError as error:
            raise CallFailed("ResourceExhausted", f"{folder}: {error.strerror}") from None

    # -- claimed processes

    def _claimant_calls(self, message: Message) -> None:
        try:
            address = subjects.parse_container(message.subject)
        except subjects.SubjectError:
            return
        claim = self._claims.get(address.container)
        if claim is None:
            foreign_caller(self._machine, message)
        else:
            claim.answer(message)

    def _connection_ended(self, message: Message) -> None:
        """A process's bus connection closed: whoever claimed with it is dead."""
        try:
            name = msgspec.json.decode(message.payload, type=Ended).client.name
        except msgspec.MsgspecError:
            return
        for claim in list(self._claims.values()):
            if claim.connection == name:
                claim.end(programs.KILLED, "Error")

    def _bus_changed(self, connected: bool) -> None:
        if connected:
            work = end_silent_after_reconnect(lambda: list(self._claims.values()))
            self._machine.tasks.start(work, name="wait for claimants")

    def _changed(self, sandbox: str, container: str, state: str) -> None:
        machine = self._machine
        event = messages.ContainerChanged(boot_id=machine.boot_id, sandbox=sandbox, container=container, state=state)
        machine.bus.publish(subjects.runtime_events(machine.name), codec.encode(event))
