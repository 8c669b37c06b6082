"""Neighbours, FDB entries, sysctls, netfilter and connections."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.services.node.kernel.conntrack.entry import Connection
from podwire.services.node.kernel.devices.bridge import Bridge, FdbEntry
from podwire.services.node.kernel.devices.vxlan import VxlanDevice, VxlanEntry
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.netfilter import restore
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.ipset import commands as ipset
from podwire.services.node.kernel.netfilter.rule import PROTOCOLS
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.nftables import commands as nft
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.operations import addresses, text


def replace_neighbour(kernel: Kernel, operation: messages.NeighbourReplace) -> None:
    """ENODEV if there is no device, EINVAL for a bad address."""
    namespace = kernel.namespace(operation.netns)
    device = namespace.device(operation.device)
    address = text.address(operation.address)
    kernel.changed()
    if operation.proxy:
        namespace.neighbours.proxies[device, address] = None
        return
    namespace.neighbours.replace(device, address, text.mac(operation.mac), operation.state)


def delete_neighbour(kernel: Kernel, operation: messages.NeighbourDelete) -> None:
    """ENOENT if there is none."""
    namespace = kernel.namespace(operation.netns)
    device = namespace.device(operation.device)
    address = text.address(operation.address)
    if operation.proxy:
        gone = namespace.neighbours.proxies.pop((device, address), 0) is None
    else:
        gone = namespace.neighbours.delete(device, address)
    if not gone:
        raise KernelError(errno.ENOENT)
    kernel.changed()


def replace_fdb(kernel: Kernel, operation: messages.FdbReplace) -> None:
    """A tunnel's remote, or a static entry for a bridge's port; EOPNOTSUPP for other devices."""
    device = kernel.namespace(operation.netns).device(operation.device)
    mac = text.mac(operation.mac)
    if isinstance(device, VxlanDevice):
        if not operation.remote:
            raise KernelError(errno.EINVAL, "Required attribute dst is missing")
        remote = text.address(operation.remote)
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
    namespace = kernel.namespace(operation.netns)
    namespace.write_sysctl(operation.key, operation.value)
    *_, name, setting = operation.key.split(".")
    if setting == "disable_ipv6":
        if operation.value == "0":
            addresses.settle_link_local(namespace)
        else:
            addresses.disable_ipv6(namespace, name)


def _netfilter(kernel: Kernel, operation: messages.IptablesRestore | messages.IptablesCommand) -> Netfilter:
    namespace = kernel.namespace(operation.netns)
    return namespace.netfilter6 if operation.family == "ipv6" else namespace.netfilter


def _tool(operation: messages.IptablesRestore | messages.IptablesCommand) -> str:
    return "ip6tables" if operation.family == "ipv6" else "iptables"


def restore_iptables(kernel: Kernel, operation: messages.IptablesRestore) -> None:
    """EINVAL with the tool's message and line number, and nothing applied."""
    kernel.settle()
    try:
        restore.restore(
            _netfilter(kernel, operation),
            operation.text,
            noflush=operation.noflush,
            counters=operation.counters,
            owner=operation.owner,
        )
    except NetfilterError as error:
        raise KernelError(
            errno.EINVAL, f"{_tool(operation)}-restore: {error.message}\nError occurred at line: {error.line}"
        ) from None


def run_iptables(kernel: Kernel, operation: messages.IptablesCommand) -> None:
    """EINVAL with the tool's message."""
    kernel.settle()
    try:
        restore.run_command(_netfilter(kernel, operation), list(operation.arguments), operation.owner)
    except NetfilterError as error:
        raise KernelError(errno.EINVAL, f"{_tool(operation)}: {error.message}") from None


def restore_nft(kernel: Kernel, operation: messages.NftRestore) -> None:
    """EINVAL with nft's message and its place, and nothing applied."""
    kernel.settle()
    namespace = kernel.namespace(operation.netns)
    netfilters = namespace.netfilter, namespace.netfilter6
    try:
        nft.apply(netfilters, namespace.nftables, operation.text, kernel.now)
    except NftError as error:
        raise KernelError(errno.EINVAL, error.shown(operation.text, "/dev/stdin")) from None


def restore_ipset(kernel: Kernel, operation: messages.IpsetRestore) -> None:
    """EINVAL with the tool's message and line number; the lines before it are applied."""
    try:
        ipset.restore(kernel.namespace(operation.netns), operation.text)
    except NetfilterError as error:
        raise KernelError(errno.EINVAL, error.message) from None


def delete_connections(kernel: Kernel, operation: messages.ConntrackDelete) -> int:
    """How many connections were deleted."""
    wanted = [
        (0, 0, PROTOCOLS[operation.protocol] if operation.protocol else None),
        (0, 1, text.optional(operation.original_source)),
        (0, 3, text.optional(operation.original_destination)),
        (0, 4, operation.original_destination_port or None),
        (1, 1, text.optional(operation.reply_source)),
        (1, 2, operation.reply_source_port or None),
        (1, 3, text.optional(operation.reply_destination)),
    ]

    def fits(connection: Connection) -> bool:
        return all(value is None or connection.tuples[side][part] == value for side, part, value in wanted)

    return kernel.namespace(operation.netns).netfilter.connections.delete(fits)
