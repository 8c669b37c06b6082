"""Who puts packets on their way: a machine, asked over the bus, or the host outside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client
from podwire.scripts.errors import UserError
from podwire.scripts.trace.resolve import Source, node_addresses
from podwire.services.chassis.live.clock import LiveClock

if TYPE_CHECKING:
    from podwire.services.node.shell import KernelShell

DEVICE: Final = "eth0"


class Sender(Protocol):
    """Sends packets at once, in order."""

    async def send(self, packets: Sequence[messages.RawPacket]) -> list[str]:
        """What the kernel said to each, "" if it took it. Raises UserError."""
        ...


class MachineSender:
    """A machine, or a pod on it."""

    def __init__(self, client: Client, source: Source, device: str = DEVICE) -> None:
        self._client, self._source, self._device = client, source, device

    async def send(self, packets: Sequence[messages.RawPacket]) -> list[str]:
        source = self._source
        call = messages.Inject(namespace=source.namespace, pod=source.pod, device=self._device, packets=list(packets))
        answer = await self._client.ask_machine(source.node, call)
        if not isinstance(answer, messages.Injected) or len(answer.errors) != len(packets):
            said = answer.message if isinstance(answer, messages.Refused) else "the machine did not say what it sent"
            raise UserError(f"{source.node}: {said}")
        return answer.errors


class OutsideSender:
    """The host outside."""

    def __init__(self, shell: "KernelShell", device: str = DEVICE) -> None:
        self._shell, self._device = shell, device

    async def send(self, packets: Sequence[messages.RawPacket]) -> list[str]:
        from podwire.services.node.traffic.inject import inject

        return inject(self._shell, "", messages.Inject(device=self._device, packets=list(packets))).errors


async def sender(client: Client, source: Source, device: str = DEVICE, via: str = "") -> Sender:
    """Whoever sends from a source. Raises UserError."""
    if not source.is_external:
        if via:
            raise UserError(f"--via {via}: only packets from outside take a way that can be chosen; leave it out")
        return MachineSender(client, source, device)
    routers = await node_addresses(client, via, "--via") if via else ()
    from podwire.scripts.inject.outside import outside_host  # a kernel: half a second that others need not wait

    shell = outside_host(client.bus, LiveClock(), source.addresses, routers)
    await client.bus.flush()
    return OutsideSender(shell, device)
