"""One machine: kernel, files, containers. What is not on its disk is lost with the process: that is a loss of power."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kernel as operations
from podwire.proto.packet.addresses import mac_of
from podwire.services.chassis.bus.base import Bus, Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.chance import RandomStream, uuid4
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.context import Context
from podwire.services.chassis.logs import Logger
from podwire.services.chassis.tasks import OrderedTaskGroup
from podwire.services.node.disk_files import DiskFiles
from podwire.services.node.files import Files
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import Programmer, apply_operation
from podwire.services.node.processes import PidNamespace
from podwire.services.node.runtime.runtime import Runtime
from podwire.services.node.settings import NodeSettings
from podwire.services.node.shell import KernelShell

NIC: Final = "eth0"
_FIRST_PROCESS: Final = 1001
"""What runs before containers do is not here: no init, no system services."""
_INSTALLED_FOLDERS: Final = ("/home", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var/log", "/var/tmp")
"""Those of hier(7) in which nothing is installed."""


@dataclass(slots=True)
class Machine:
    """What everything on a machine shares."""

    name: str
    addresses: tuple[str, ...]
    boot_id: str
    kernel: Kernel
    shell: KernelShell
    files: Files
    bus: Bus
    clock: Clock
    random: RandomStream
    tasks: OrderedTaskGroup
    log: Logger
    programmer: Programmer
    processes: PidNamespace = field(default_factory=lambda: PidNamespace(first=_FIRST_PROCESS))
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = Runtime(self)

    @property
    def address(self) -> str:
        """The primary family's."""
        return self.addresses[0]


def boot(context: Context, settings: NodeSettings) -> Machine:
    """Powers a machine on: a new boot id, an empty kernel with its NIC, the files on its disk."""
    boot_id = uuid4(context.random)
    kernel = Kernel(settings.node, boot_id, context.random)
    shell = KernelShell(kernel, context.bus, context.clock, context.faults)
    files = DiskFiles(context.disk, _installed_files(settings), _INSTALLED_FOLDERS)
    if files.foreign:
        context.log.warning("records of the disk were passed over", records=files.foreign)
    machine = Machine(
        name=settings.node,
        addresses=tuple(_hosts(settings)),
        boot_id=boot_id,
        kernel=kernel,
        shell=shell,
        files=files,
        bus=context.bus,
        clock=context.clock,
        random=context.random,
        tasks=context.tasks,
        log=context.log,
        programmer=Programmer(kernel),
    )
    _bring_up(machine, settings)
    return machine


def _hosts(settings: NodeSettings) -> list[str]:
    return [address.partition("/")[0] for address in settings.addresses]


def _installed_files(settings: NodeSettings) -> dict[str, bytes]:
    names = "".join(f"{address}\t{settings.node}\n" for address in _hosts(settings))
    has_ipv6 = any(":" in address for address in settings.addresses)
    local = "127.0.0.1\tlocalhost\n" + ("::1\tlocalhost ip6-localhost ip6-loopback\n" if has_ipv6 else "")
    return {
        "/etc/hostname": f"{settings.node}\n".encode(),
        "/etc/hosts": (local + names).encode(),
        "/etc/resolv.conf": "".join(f"nameserver {gateway}\n" for gateway in settings.gateways).encode(),
        "/etc/os-release": b'PRETTY_NAME="podwire (emulated)"\nID=podwire\n',
    }


def _bring_up(machine: Machine, settings: NodeSettings) -> None:
    plug_in(machine.shell, settings.segment, settings.addresses, settings.gateways, settings.mtu)
    for address in settings.addresses:
        with machine.shell.turn() as kernel:
            apply_operation(kernel, operations.SysctlWrite(key=_forwarding(address), value="1"))


def plug_in(
    shell: KernelShell, segment: str, addresses: Sequence[str], gateways: Sequence[str] = (), mtu: int = 1500
) -> None:
    """Gives a kernel its NIC on a segment: `addresses` with their prefix lengths, default routes by `gateways`."""
    mac = mac_of(addresses[0])
    shell.plug(NIC, segment, mac)
    for operation in (
        operations.LinkSet(name="lo", up=True),
        operations.LinkAdd(kind="nic", name=NIC, address=mac, segment=segment, mtu=mtu, up=True),
        *(operations.AddressAdd(device=NIC, address=address) for address in addresses),
        *(operations.RouteAdd(destination=_default(via), via=via, device=NIC) for via in gateways),
    ):
        with shell.turn() as kernel:
            apply_operation(kernel, operation)


def _default(gateway: str) -> str:
    return "::/0" if ":" in gateway else "0.0.0.0/0"


def _forwarding(address: str) -> str:
    return "net.ipv6.conf.all.forwarding" if ":" in address else "net.ipv4.ip_forward"


def serve_programming(machine: Machine) -> None:
    """Answers on `kernel.<node>`; a foreign message gets no answer and is counted."""

    async def answer(message: Message) -> bytes:
        try:
            request = codec.decode(operations.Program, message.payload)
        except codec.ForeignMessage as error:
            machine.shell.malformed += 1
            failure = operations.Failure(index=-1, errno=22, name="EINVAL", message=str(error))
            return codec.encode(operations.Programmed(boot_id=machine.boot_id, error=failure))
        with machine.shell.turn():
            reply = machine.programmer.apply(request, machine.clock.monotonic_ns())
        return codec.encode(reply)

    Responder(machine.bus, machine.tasks, answer).serve(subjects.kernel(machine.name))
