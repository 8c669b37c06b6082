"""Making geneve and ipip devices (Linux geneve_newlink, ipip_newlink)."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import is_ipv6
from podwire.proto.packet.geneve import PORT
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.devices import geneve, ipip
from podwire.services.node.kernel.devices.geneve import GeneveDevice
from podwire.services.node.kernel.devices.ipip import IpipDevice
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text

_LONGEST_TTL = 255


def make_geneve(namespace: Namespace, operation: messages.LinkAdd, mac: bytes) -> GeneveDevice:
    """EINVAL without a remote or for a bad vni, port or ttl, EEXIST for one that is there."""
    if not operation.remote:
        raise KernelError(errno.EINVAL, "Remote is needed for a geneve device.")
    port = operation.port or PORT
    if not 0 <= operation.vni < 1 << 24 or not 0 < port < 65536:
        raise KernelError(errno.EINVAL, "vni or port out of range")
    device = GeneveDevice(namespace, operation.name, mac, text.address(operation.remote))
    device.vni, device.port_number, device.ttl = operation.vni, port, _ttl(operation)
    device.udp_checksum = operation.udp_checksum
    if device.key in namespace.geneve_tunnels:
        raise KernelError(errno.EEXIST)
    underlay = internet.route_to(namespace, device.remote)
    if underlay is not None and underlay.device is not None:
        device.mtu = underlay.device.mtu - geneve.overhead(device.remote)
    namespace.geneve_tunnels[device.key] = device
    return device


def make_ipip(namespace: Namespace, operation: messages.LinkAdd) -> IpipDevice:
    """EINVAL for addresses that are not IPv4's, EEXIST for a pair that is there."""
    local, remote = text.optional(operation.local) or 0, text.optional(operation.remote) or 0
    if is_ipv6(local) or is_ipv6(remote):
        raise KernelError(errno.EINVAL, "ipip: local and remote are IPv4 addresses")
    device = IpipDevice(namespace, operation.name, local, remote)
    if device.key in namespace.ipip_tunnels:
        raise KernelError(errno.EEXIST)
    device.ttl = _ttl(operation)
    device.link = namespace.device(operation.device) if operation.device else None
    underlay = internet.route_to(namespace, remote) if remote else None
    below = device.link or (underlay.device if underlay is not None else None)
    if below is not None and below.kind != "loopback":
        device.mtu = below.mtu - ipip.OVERHEAD
    namespace.ipip_tunnels[device.key] = device
    return device


def _ttl(operation: messages.LinkAdd) -> int:
    if not 0 <= operation.ttl <= _LONGEST_TTL:
        raise KernelError(errno.EINVAL, "ttl out of range")
    return operation.ttl
