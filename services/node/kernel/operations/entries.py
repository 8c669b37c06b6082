"""Neighbours, FDB entries, sysctls, netfilter and connections."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.services.node.kernel.conntrack.entry import Connection
from podwire.services.node.kernel.devices.bridge import Bridge, FdbEntry
from podwire.services.node.kernel.devices.vxlan import VxlanDevice, VxlanEntry
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.netfilter import ipset, restore
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.rule import PROTOCOLS
from podwire.services.node.kernel.operations import text


def replace_neighbour(kernel: Kernel, operation: messages.NeighbourReplace) -> None:
    """ENODEV if there is no device, EINVAL for a bad address."""
    namespace = kernel.namespace(operation.netns)
    device = namespace.device(operation.device)
    kernel.changed()
    namespace.neighbours.replace(device, text.ipv4(operation.address), text.mac(operation.mac), operation.state)


def delete_neighbour(kernel: Kernel, operation: messages.NeighbourDelete) -> None:
    """ENOENT if there is none."""
    namespace = kernel.namespace(operation.netns)
    device = namespace.device(operation.device)
    if not namespace.neighbours.delete(device, text.ipv4(operation.address)):
        raise KernelError(errno.ENOENT)
    kernel.changed()


def replace_fdb(kernel: Kernel, operation: messages.FdbReplace) -> None:
    """A tunnel's remote, or a static entry for a bridge's port; EOPNOTSUPP for other devices."""
    device = kernel.namespace(operation.netns).device(operation.device)
    mac = text.mac(operation.mac)
    if isinstance(device, VxlanDevice):
        if not operation.remote:
            raise KernelError(errno.EINVAL, "Required attribute dst is missing")
        remote = text.ipv4(operation.remote)
        device.fdb[mac] = VxlanEntry(remote, operation.permanent, False, kernel.now)
    elif device.port is not None:
        device.port.bridge.fdb[mac] = FdbEntry(device.port, kernel.now, operation.permanent)
    elif isinstance(device, Bridge):
        device.fdb[mac] = FdbEntry(None, kernel.now, static=True)
    else:
        raise KernelError(errno.EOPNOTSUPP)
    kernel.changed()


def delete_fdb(kernel: Kernel, operation: messages.FdbDelete) -> None:
    """ENOENT if there is none."""
    device = kernel.namespace(operation.netns).device(operation.device)
    mac = text.mac(operation.mac)
    holder = device.port.bridge if device.port is not None else device
    if not isinstance(holder, VxlanDevice | Bridge):
        raise KernelError(errno.EOPNOTSUPP)
    if mac not in holder.fdb:
        raise KernelError(errno.ENOENT)
    del holder.fdb[mac]
    kernel.changed()


def write_sysctl(kernel: Kernel, operation: messages.SysctlWrite) -> None:
    """ENOENT for an unknown key, EINVAL for a bad value."""
    kernel.namespace(operation.netns).write_sysctl(operation.key, operation.value)


def restore_iptables(kernel: Kernel, operation: messages.IptablesRestore) -> None:
    """EINVAL with the tool's message and line number, and nothing applied."""
    kernel.settle()
    try:
        restore.restore(
            kernel.namespace(operation.netns).netfilter,
            operation.text,
            noflush=operation.noflush,
            counters=operation.counters,
            owner=operation.owner,
        )
    except NetfilterError as error:
        raise KernelError(
            errno.EINVAL, f"iptables-restore: {error.message}\nError occurred at line: {error.line}"
        ) from None


def run_iptables(kernel: Kernel, operation: messages.IptablesCommand) -> None:
    """EINVAL with the tool's message."""
    kernel.settle()
    try:
        restore.run_command(kernel.namespace(operation.netns).netfilter, list(operation.arguments), operation.owner)
    except NetfilterError as error:
        raise KernelError(errno.EINVAL, f"iptables: {error.message}") from None


def restore_ipset(kernel: Kernel, operation: messages.IpsetRestore) -> None:
    """EINVAL with the tool's message, and nothing applied."""
    try:
        ipset.restore(kernel.namespace(operation.netns).netfilter, operation.text)
    except NetfilterError as error:
        raise KernelError(errno.EINVAL, error.message) from None


def delete_connections(kernel: Kernel, operation: messages.ConntrackDelete) -> int:
    """How many connections were deleted."""
    wanted = [
        (0, 0, PROTOCOLS[operation.protocol] if operation.protocol else None),
        (0, 1, text.optional_ipv4(operation.original_source)),
        (0, 3, text.optional_ipv4(operation.original_destination)),
        (0, 4, operation.original_destination_port or None),
        (1, 1, text.optional_ipv4(operation.reply_source)),
        (1, 2, operation.reply_source_port or None),
        (1, 3, text.optional_ipv4(operation.reply_destination)),
    ]

    def fits(connection: Connection) -> bool:
        return all(value is None or connection.tuples[side][part] == value for side, part, value in wanted)

    return kernel.namespace(operation.netns).netfilter.connections.delete(fits)
