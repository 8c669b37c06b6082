"""Sandboxes: a pod's network namespace, made and torn down by the CNI plugin of the node."""

from typing import TYPE_CHECKING, Final

from podwire.proto.messages import runtime as messages
from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.cni.chain import (
    CniError,
    add_network,
    collect_garbage,
    delete_network,
    network_condition,
)
from podwire.services.node.processes import PidNamespace
from podwire.services.node.runtime.containers import Containers
from podwire.services.node.runtime.failures import CallFailed
from podwire.services.node.runtime.records import SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_NOBODY: Final = 65535
"""The user of the pause image."""


class Sandboxes:
    """All sandboxes of a machine."""

    def __init__(self, machine: "Machine", containers: Containers) -> None:
        self.records: dict[str, SandboxRecord] = {}
        self._machine, self._containers = machine, containers
        self._leaves_garbage = True
        """Whether a network may hold what no sandbox has: at the start, and after one ended without plugins."""

    def ready(self, name: str) -> SandboxRecord:
        """A sandbox in which containers can be made. Raises CallFailed."""
        sandbox = self.records.get(name)
        if sandbox is None or sandbox.state != "READY":
            raise CallFailed("NotFound", f'sandbox "{name}" is not ready')
        return sandbox

    def network_condition(self) -> tuple[bool, str]:
        """Whether pods can get a network, and why not. As soon as they can, garbage is collected."""
        ready, text = network_condition(self._machine)
        if ready and self._leaves_garbage:
            self._collect_garbage()
        return ready, text

    def _collect_garbage(self) -> None:
        """Frees what sandboxes left that ended while no plugin could clean up after them (CNI 1.1, GC)."""
        self._leaves_garbage = False
        try:
            collect_garbage(self._machine, [each for each in self.records.values() if each.state == "READY"])
        except CniError as error:
            self._leaves_garbage = True
            self._machine.log.warning("cni garbage collection failed", reason=str(error))

    def pod_in(self, namespace: str) -> str:
        """Whose a network namespace is: `namespace/name` of the pod, or the namespace's own name."""
        for record in self.records.values():
            if namespace and record.namespace == namespace:
                return f"{record.config.namespace}/{record.config.name}"
        return namespace

    async def run(self, config: messages.SandboxConfig) -> SandboxRecord:
        """Makes a sandbox with its network. Raises CallFailed."""
        machine = self._machine
        identifier = hexadecimal(machine.random, 64)
        namespace = "" if config.host_network else f"cni-{hexadecimal(machine.random, 32)}"
        processes = PidNamespace(machine.processes)
        record = SandboxRecord(identifier, config, machine.clock.now_ns(), namespace, processes)
        if config.host_network:
            record.addresses = machine.addresses
        else:
            await self._make_network(record)
        if config.shares_processes:
            record.pause = processes.start(["/pause"], user=_NOBODY, started_at=record.created_at, graceful=True)
        self.records[identifier] = record
        self._containers.changed(record.id, "", record.state)
        return record

    async def _make_network(self, record: SandboxRecord) -> None:
        try:
            record.addresses = await add_network(self._machine, record)
        except CniError as error:
            await self._delete_network(record)
            text = f'failed to setup network for sandbox "{record.id}": {error}'
            raise CallFailed("Unknown", text) from None

    async def _delete_network(self, record: SandboxRecord) -> None:
        self._leaves_garbage = self._leaves_garbage or not network_condition(self._machine)[0]
        try:
            await delete_network(self._machine, record)
        except CniError as error:
            text = f'failed to destroy network for sandbox "{record.id}": {error}'
            raise CallFailed("Unknown", text) from None

    async def stop(self, name: str) -> None:
        """Kills its containers and tears its network down. Idempotent. Raises CallFailed."""
        record = self.records.get(name)
        if record is None or record.state == "NOTREADY":
            return
        for container in self._containers.of(name):
            self._containers.kill(container)
        if record.namespace:
            await self._delete_network(record)
        record.state = "NOTREADY"
        if record.pause is not None:
            record.processes.end(record.pause)
        self._containers.changed(name, "", record.state)

    async def remove(self, name: str) -> None:
        """Forgets a sandbox and its containers. Idempotent. Raises CallFailed."""
        await self.stop(name)
        for container in self._containers.of(name):
            self._containers.remove(container.id)
        if self.records.pop(name, None) is not None:
            self._containers.changed(name, "", "REMOVED")
