"""CRI's verbs on one machine: one dispatch over sandboxes, containers and executions."""

from typing import TYPE_CHECKING

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import runtime as messages
from podwire.proto.messages.process import Ended
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.node.files import FileError
from podwire.services.node.network.sockets import Network
from podwire.services.node.runtime.claimed import end_silent_after_reconnect, foreign_caller
from podwire.services.node.runtime.containers import Containers, stand_in
from podwire.services.node.runtime.executions import Executions
from podwire.services.node.runtime.exit_codes import KILLED
from podwire.services.node.runtime.failures import CallFailed
from podwire.services.node.runtime.forwarding import Forwarding
from podwire.services.node.runtime.logs import read_log
from podwire.services.node.runtime.probes import probe
from podwire.services.node.runtime.sandboxes import Sandboxes
from podwire.services.node.runtime.volume_files import copy_files, prepare_folder, write_volume

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine


class Runtime:
    """The container runtime of one machine, for as long as it has power."""

    def __init__(self, machine: "Machine") -> None:
        self.containers = Containers(machine)
        self.sandboxes = Sandboxes(machine, self.containers)
        self._executions = Executions(machine, self.containers)
        self._forwarding = Forwarding(machine, self.sandboxes)
        self._machine = machine

    def serve(self) -> None:
        """Answers kubelets and claimed processes."""
        machine = self._machine
        Responder(machine.bus, machine.tasks, self._answer).serve(subjects.runtime(machine.name))
        machine.bus.subscribe(subjects.node_container_calls(machine.name), self._claimant_calls)
        machine.bus.subscribe(subjects.DISCONNECTS, self._connection_ended)
        machine.bus.on_connection(self._bus_changed)
        machine.shell.owner_of_namespace = self.sandboxes.pod_in

    # -- calls of the kubelet

    async def _answer(self, message: Message) -> bytes:
        result: messages.Result
        try:
            result = await self._call(codec.decode(messages.RuntimeRequest, message.payload))
        except codec.ForeignMessage as error:
            result = messages.Failed(code="InvalidArgument", message=str(error))
        except CallFailed as error:
            result = messages.Failed(code=error.code, message=str(error))
        except FileError as error:
            result = messages.Failed(code="Unknown", message=str(error.strerror))
        return codec.encode(messages.RuntimeAnswer(boot_id=self._machine.boot_id, result=result))

    async def _call(self, request: messages.RuntimeRequest) -> messages.Result:
        call, containers = request.call, self.containers
        if isinstance(call, messages.ListAll):
            return self._list_all()
        if request.boot_id != self._machine.boot_id:
            raise CallFailed("FailedPrecondition", "the machine has booted since: list again")
        match call:
            case messages.RunPodSandbox(config=config):
                return messages.SandboxAnswer(sandbox=(await self.sandboxes.run(config)).status())
            case messages.StopPodSandbox(sandbox=name):
                await self.sandboxes.stop(name)
            case messages.RemovePodSandbox(sandbox=name):
                await self.sandboxes.remove(name)
            case messages.CreateContainer(sandbox=name, config=container):
                record = containers.create(self.sandboxes.ready(name), container)
                return messages.ContainerAnswer(container=record.status(), stand_in=stand_in(record))
            case messages.StartContainer(container=name, claimant=claimant):
                containers.start(containers.get(name), claimant)
            case messages.StopContainer(container=name, grace=grace):
                containers.stop(name, grace)
            case messages.ShiftClock(container=name, offset=offset):
                containers.shift_clock(containers.running(name), offset)
            case messages.RemoveContainer(container=name):
                containers.remove(name)
            case messages.ReadLog(container=name, start=start, wait=wait):
                return await read_log(containers.get(name), start, wait)
            case messages.StartExec():
                self._executions.start(call)
            case messages.StartPortForward():
                self._forwarding.start(call)
            case messages.ExecSync():
                return await self._executions.run_to_end(call)
            case messages.WriteVolume(folder=folder, files=files):
                machine = self._machine
                write_volume(machine.files, folder, files, machine.clock.now_ns(), machine.random)
            case messages.CopyFiles(folder=folder, files=files):
                copy_files(self._machine.files, folder, files)
            case messages.PrepareFolder(folder=folder, kind=kind):
                prepare_folder(self._machine.files, folder, kind)
            case messages.RemoveFiles(folder=folder):
                self._machine.files.remove_tree(folder)
            case messages.NetworkStatus():
                ready, text = self.sandboxes.network_condition()
                return messages.NetworkCondition(ready=ready, message=text)
            case messages.ProbePod():
                return await probe(Network(self._machine.shell, ""), call, self._machine.clock)
        return messages.Done()

    def _list_all(self) -> messages.Inventory:
        return messages.Inventory(
            sandboxes=[entry.status() for entry in self.sandboxes.records.values()],
            containers=[entry.status() for entry in self.containers.records.values()],
            addresses=list(self._machine.addresses),
        )

    # -- claimed processes

    def _claimant_calls(self, message: Message) -> None:
        try:
            address = subjects.parse_container(message.subject)
        except subjects.SubjectError:
            return
        claim = self.containers.claims.get(address.container)
        if claim is None:
            foreign_caller(self._machine, message)
        else:
            claim.answer(message)

    def _connection_ended(self, message: Message) -> None:
        """A process's bus connection closed: whoever claimed with it is dead."""
        try:
            name = msgspec.json.decode(message.payload, type=Ended).client.name
        except msgspec.MsgspecError:
            self._machine.shell.malformed += 1
            return
        for claim in list(self.containers.claims.values()):
            if claim.connection == name:
                claim.end(KILLED, "Error")

    def _bus_changed(self, connected: bool) -> None:
        if connected:
            work = end_silent_after_reconnect(lambda: list(self.containers.claims.values()))
            self._machine.tasks.start(work, name="wait for claimants")
