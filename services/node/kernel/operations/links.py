"""Namespaces and devices (rtnetlink RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK)."""

import errno
from typing import Final

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import ZERO_MAC, is_ipv6
from podwire.proto.packet.vxlan import LINUX_PORT
from podwire.services.node.kernel.devices.bridge import Bridge
from podwire.services.node.kernel.devices.device import Device, Dummy
from podwire.services.node.kernel.devices.nic import Nic
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.kernel.devices.vxlan import VxlanDevice, VxlanEntry
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import addresses, text, tunnels

NAME_LIMIT: Final = 15
MINIMUM_MTU: Final = 68
DEVICE_LIMIT: Final = 4096


def add_namespace(kernel: Kernel, operation: messages.NetnsAdd) -> None:
    """EEXIST if there is one of that name, EINVAL for a bad one."""
    if not operation.netns or "/" in operation.netns or len(operation.netns) > 255:
        raise KernelError(errno.EINVAL, f'Invalid netns name "{operation.netns}"')
    kernel.add_namespace(operation.netns)


def delete_namespace(kernel: Kernel, operation: messages.NetnsDelete) -> None:
    """ENOENT if there is none; the host's cannot go."""
    namespace = kernel.namespace(operation.netns)
    if namespace is kernel.root:
        raise KernelError(errno.EBUSY)
    namespace.sockets.close_all()
    for device in list(namespace.devices.values()):
        if device.name in namespace.devices:
            remove(device)
    del kernel.namespaces[operation.netns]
    kernel.changed()


def add(kernel: Kernel, operation: messages.LinkAdd) -> None:
    """EEXIST for a taken name, EINVAL for a bad one, ENODEV for a missing master."""
    namespace = kernel.namespace(operation.netns)
    _check_name(namespace, operation.name)
    master = _bridge(namespace, operation.master) if operation.master else None
    mtu = _checked_mtu(operation.mtu) if operation.mtu else 0
    device = _make(kernel, namespace, operation)
    device.mtu = mtu or device.mtu
    kernel.attach(namespace, device)
    if master is not None:
        master.enslave(device)
    if operation.up:
        set_up(device, True)
    _settle(device)
    kernel.changed()


def _settle(device: Device) -> None:
    """A link may have become ready, this device's or that of its other end or bridge."""
    addresses.settle_link_local(device.namespace)
    if isinstance(device, Veth) and device.peer is not None and device.peer.namespace is not device.namespace:
        addresses.settle_link_local(device.peer.namespace)


def _check_name(namespace: Namespace, name: str) -> None:
    if not name or len(name) > NAME_LIMIT or "/" in name or any(letter.isspace() for letter in name):
        raise KernelError(errno.EINVAL, f'"{name}" is not a valid ifname')
    if name in namespace.devices:
        raise KernelError(errno.EEXIST)
    if len(namespace.devices) >= DEVICE_LIMIT:
        raise KernelError(errno.ENOSPC)


def _checked_mtu(mtu: int) -> int:
    if not MINIMUM_MTU <= mtu <= 65535:
        raise KernelError(errno.EINVAL, "mtu out of range")
    return mtu


def _bridge(namespace: Namespace, name: str) -> Bridge:
    device = namespace.device(name)
    if not isinstance(device, Bridge):
        raise KernelError(errno.EOPNOTSUPP)
    return device


def _mac(kernel: Kernel, given: str) -> bytes:
    """The MAC given, or a random locally administered one (eth_random_addr)."""
    if given:
        return text.mac(given)
    octets = bytearray(kernel.random.getrandbits(48).to_bytes(6))
    octets[0] = octets[0] & 0xFC | 0x02
    return bytes(octets)


def _make(kernel: Kernel, namespace: Namespace, operation: messages.LinkAdd) -> Device:
    if operation.kind == "veth":
        return _make_veth(kernel, namespace, operation)
    if operation.kind == "vxlan":
        return _make_vxlan(kernel, namespace, operation)
    if operation.kind == "geneve":
        return tunnels.make_geneve(namespace, operation, _mac(kernel, operation.address))
    if operation.kind == "ipip":
        return tunnels.make_ipip(namespace, operation)
    mac = _mac(kernel, operation.address)
    if operation.kind == "bridge":
        bridge = Bridge(namespace, operation.name, mac)
        bridge.fixed_mac = bool(operation.address)
        return bridge
    if operation.kind == "dummy":
        return Dummy(namespace, operation.name, mac)
    if namespace is not kernel.root:
        raise KernelError(errno.EOPNOTSUPP, "a NIC belongs to the machine's own namespace")
    nic = Nic(namespace, operation.name, mac)
    nic.segment = operation.segment
    return nic


def _make_veth(kernel: Kernel, namespace: Namespace, operation: messages.LinkAdd) -> Veth:
    other = kernel.namespace(operation.peer_netns)
    peer_name = operation.peer or next(
        name for number in range(DEVICE_LIMIT + 1) if (name := f"veth{number}") not in other.devices
    )
    _check_name(other, peer_name)
    if other is namespace and peer_name == operation.name:
        raise KernelError(errno.EEXIST)
    device = Veth(namespace, operation.name, _mac(kernel, operation.address))
    peer = Veth(other, peer_name, _mac(kernel, operation.peer_address))
    if operation.mtu:
        peer.mtu = _checked_mtu(operation.mtu)
    device.peer, peer.peer = peer, device
    kernel.attach(other, peer)
    return device


def _make_vxlan(kernel: Kernel, namespace: Namespace, operation: messages.LinkAdd) -> VxlanDevice:
    local = text.optional(operation.local)
    is_over_ipv6 = local is not None and is_ipv6(local)
    port = operation.port or LINUX_PORT
    key = (port, operation.vni, is_over_ipv6)
    if not 0 <= operation.vni < 1 << 24 or not 0 < port < 65536:
        raise KernelError(errno.EINVAL, "vni or port out of range")
    if key in namespace.tunnels:
        raise KernelError(errno.EEXIST, "A VXLAN device with the specified VNI already exists.")
    device = VxlanDevice(namespace, operation.name, _mac(kernel, operation.address))
    device.vni, device.port_number, device.learning = operation.vni, port, operation.learning
    device.ttl, device.udp_checksum = operation.ttl or device.ttl, operation.udp_checksum
    device.local = local
    device.link = namespace.device(operation.device) if operation.device else None
    if operation.remote:
        device.fdb[ZERO_MAC] = VxlanEntry(text.address(operation.remote), True, False, kernel.now)
    added = 70 if is_over_ipv6 else 50
    device.mtu = (device.link.mtu if device.link is not None else 1500) - added
    namespace.tunnels[key] = device
    return device


def change(kernel: Kernel, operation: messages.LinkSet) -> None:
    """ENODEV for a missing device or master, EBUSY for a port of another bridge, EEXIST for a taken name."""
    namespace = kernel.namespace(operation.netns)
    device = namespace.device(operation.name)
    if operation.new_netns is not None:
        namespace = _move(kernel, device, kernel.namespace(operation.new_netns))
    if operation.address is not None:
        _set_mac(device, text.mac(operation.address))
    if operation.mtu is not None:
        device.mtu = _checked_mtu(operation.mtu)
    if operation.new_name is not None:
        _rename(namespace, device, operation.new_name)
    if operation.master is not None:
        _set_master(namespace, device, operation.master)
    _set_port(device, operation)
    if operation.up is not None:
        set_up(device, operation.up)
    _settle(device)
    kernel.changed()


def _set_mac(device: Device, mac: bytes) -> None:
    device.mac = mac
    if isinstance(device, Bridge):
        device.fixed_mac = True


def _rename(namespace: Namespace, device: Device, name: str) -> None:
    if name == device.name:
        return
    _check_name(namespace, name)
    bridge = device.master
    namespace.devices = {name if each is device else key: each for key, each in namespace.devices.items()}
    if bridge is not None:
        bridge.ports = {name if port.device is device else key: port for key, port in bridge.ports.items()}
    for address in device.addresses:
        address.label = name if address.label == device.name else address.label
    device.name = name


def _set_master(namespace: Namespace, device: Device, name: str) -> None:
    if not name:
        if device.master is not None:
            device.master.release(device)
        return
    bridge = _bridge(namespace, name)
    if device.master is bridge:
        return
    if device.master is not None:
        raise KernelError(errno.EBUSY)
    if device is bridge or isinstance(device, Bridge) or device.kind == "loopback":
        raise KernelError(errno.ELOOP if isinstance(device, Bridge) else errno.EINVAL)
    bridge.enslave(device)


def _set_port(device: Device, operation: messages.LinkSet) -> None:
    if operation.hairpin is None and operation.learning is None and operation.flood is None:
        return
    if device.port is None:
        raise KernelError(errno.EOPNOTSUPP, "not a bridge port")
    if operation.hairpin is not None:
        device.port.hairpin = operation.hairpin
    if operation.learning is not None:
        device.port.learning = operation.learning
    if operation.flood is not None:
        device.port.unicast_flood = operation.flood


def _move(kernel: Kernel, device: Device, target: Namespace) -> Namespace:
    source = device.namespace
    if source is target:
        return target
    if device.kind in ("loopback", "bridge", "nic"):
        raise KernelError(errno.EINVAL, "The interface netns is immutable.")
    if device.name in target.devices:
        raise KernelError(errno.EEXIST)
    set_up(device, False)
    addresses.flush(device)
    device.detach() if device.port is not None else None
    del source.devices[device.name]
    kernel.attach(target, device)
    return target


def set_up(device: Device, up: bool) -> None:
    """Bring a device up, with its connected routes, or down, with the loss of every route over it."""
    if up == device.up:
        return
    device.up = up
    if up:
        addresses.device_up(device)
    else:
        addresses.device_down(device)


def delete(kernel: Kernel, operation: messages.LinkDelete) -> None:
    """ENODEV if there is none, EOPNOTSUPP for lo and NICs."""
    device = kernel.namespace(operation.netns).device(operation.name)
    if device.kind in ("loopback", "nic"):
        raise KernelError(errno.EOPNOTSUPP)
    remove(device)
    kernel.changed()


def remove(device: Device) -> None:
    """Take a device out, and a veth's other end with it."""
    set_up(device, False)
    addresses.flush(device)
    device.detach()
    device.namespace.devices.pop(device.name, None)
    if isinstance(device, Veth) and device.peer is not None:
        peer, device.peer = device.peer, None
        peer.peer = None
        remove(peer)
