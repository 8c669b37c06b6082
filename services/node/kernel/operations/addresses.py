"""Addresses, and the routes that come with them (Linux net/ipv4/devinet.c, net/ipv6/addrconf.c)."""

import errno
from typing import Final

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import IPV6, is_ipv6, is_link_local, is_multicast, mask_for, prefix_mask
from podwire.services.node.kernel.devices.device import Address, Device
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import LOCAL, MAIN, Fib, Route
from podwire.services.node.kernel.ipv6 import LOOPBACK, link_local_of
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text

PREFIX_METRIC6: Final = 256
"""IP6_RT_PRIO_ADDRCONF."""
_GROUPS6: Final = IPV6 | 0xFF << 120


def add(kernel: Kernel, operation: messages.AddressAdd) -> None:
    """EEXIST if the device has it already, ENODEV if there is no device, EINVAL for what is no address."""
    device = kernel.namespace(operation.netns).device(operation.device)
    value, length = text.prefix(operation.address)
    if value in (0, IPV6) or (is_ipv6(value) and is_multicast(value)):
        raise KernelError(errno.EINVAL)
    if _has(device, value, length):
        raise KernelError(errno.EEXIST, "" if is_ipv6(value) else "Address already assigned.")
    if is_ipv6(value):
        _check_enabled(device)
        scope = "host" if value == LOOPBACK else "link" if is_link_local(value) else operation.scope
        put6(device, Address(value, length, scope, None, "", operation.noprefixroute))
    else:
        broadcast = _broadcast(operation.broadcast, value, length)
        scope = "host" if device.kind == "loopback" and operation.scope == "global" else operation.scope
        address = Address(value, length, scope, broadcast, device.name, operation.noprefixroute)
        device.addresses.append(address)
        _add_routes(device, address)
    kernel.changed()


def _has(device: Device, value: int, length: int) -> bool:
    """Whether the device has an address. Each of IPv4 has its local route, so that kube-ipvs0's many need no look."""
    if not is_ipv6(value) and device.namespace.fib.find((LOCAL, 32, value, 0)) is None:
        return False
    return any((each.address, each.length) == (value, length) for each in _list(device, value))


def _list(device: Device, value: int) -> list[Address]:
    return device.addresses6 if is_ipv6(value) else device.addresses


def _check_enabled(device: Device) -> None:
    if device.namespace.device_sysctl(device.name, "disable_ipv6", "ipv6"):
        raise KernelError(errno.EACCES, "IPv6 is disabled on this device.")


def put6(device: Device, address: Address) -> None:
    """Enter an IPv6 address: wider scopes first, and the newest first among equals (ipv6_link_dev_addr)."""
    narrower = [at for at, each in enumerate(device.addresses6) if _SCOPES[each.scope] <= _SCOPES[address.scope]]
    device.addresses6.insert(narrower[0] if narrower else len(device.addresses6), address)
    if device.up or device.kind == "dummy":  # without neighbours there is nothing to detect first
        _add_routes(device, address)


_SCOPES: Final = {"global": 14, "site": 5, "link": 2, "host": 1}


def _broadcast(given: str, value: int, length: int) -> int | None:
    if given in ("+", "brd"):
        return value | ~prefix_mask(length) & 0xFFFFFFFF if length < 31 else None
    return text.optional_ipv4(given)


def delete(kernel: Kernel, operation: messages.AddressDelete) -> None:
    """EADDRNOTAVAIL if the device does not have it."""
    device = kernel.namespace(operation.netns).device(operation.device)
    value, length = text.prefix(operation.address)
    for address in _list(device, value):
        if (address.address, address.length) == (value, length):
            _list(device, value).remove(address)
            _remove_routes(device, address)
            kernel.changed()
            return
    raise KernelError(errno.EADDRNOTAVAIL)


def routes_of(device: Device, address: Address) -> list[Route]:
    """What the kernel enters by itself for an address on a device that is up."""
    return _routes6(device, address) if is_ipv6(address.address) else _routes4(device, address)


def _routes4(device: Device, address: Address) -> list[Route]:
    value, length, mask = address.address, address.length, prefix_mask(address.length)
    local = Route(value, 32, device, None, value, 0, LOCAL, "kernel", "host", "local")
    routes = [local]
    if device.kind == "loopback":
        routes.append(Route(value & mask, length, device, None, value, 0, LOCAL, "kernel", "host", "local"))
    elif length < 32 and not address.noprefixroute:
        routes.append(Route(value & mask, length, device, None, value, 0, MAIN, "kernel", "link"))
    if length < 31:
        broadcast = value | ~mask & 0xFFFFFFFF
        routes.append(Route(broadcast, 32, device, None, value, 0, LOCAL, "kernel", "link", "broadcast"))
    return routes


def _routes6(device: Device, address: Address) -> list[Route]:
    value, length = address.address, address.length
    prefix = value & mask_for(value, length)
    routes = [Route(value, 128, device, metric=0, table=LOCAL, protocol="kernel", kind="local")]
    if device.kind != "loopback":
        routes.append(
            Route(_GROUPS6, 8, device, metric=PREFIX_METRIC6, table=LOCAL, protocol="kernel", kind="multicast")
        )
    if device.kind != "loopback" and not address.noprefixroute:
        routes.append(Route(prefix, length, device, metric=PREFIX_METRIC6, protocol="kernel"))
    return routes


def _add_routes(device: Device, address: Address) -> None:
    """Enter an address's routes; on a device that is down it is this host's all the same, but nothing more."""
    fib = device.namespace.fib_for(address.address)
    for route in routes_of(device, address):
        if (device.up or route.kind == "local") and not fib.holds(route):
            fib.add(route)


def _remove_routes(device: Device, address: Address) -> None:
    """Take an address's routes out, but for those that another address gives as well."""
    mask = mask_for(address.address, address.length)
    near = (
        other
        for other in _list(device, address.address)
        if other.address == address.address
        or (other.length == address.length and not (other.address ^ address.address) & mask)
    )
    kept = [route for other in near for route in routes_of(device, other)]
    fib = device.namespace.fib_for(address.address)
    for route in routes_of(device, address):
        if route not in kept and fib.holds(route):
            fib.remove(route)
    for route in fib.routes(MAIN):
        if route.source == address.address and route.device is device and route.protocol != "kernel":
            fib.remove(route)


def device_up(device: Device) -> None:
    """Enter the routes of every address; lo gets 127.0.0.1/8 and ::1/128 by itself."""
    if device.kind == "loopback" and not device.addresses:
        device.addresses.append(Address(0x7F000001, 8, "host", None, device.name, False))
    for address in device.addresses:
        _add_routes(device, address)
    if device.kind == "loopback" and not device.addresses6 and _has_ipv6(device):
        device.addresses6.append(Address(LOOPBACK, 128, "host", None, "", False))
    for address in device.addresses6:
        _add_routes(device, address)


def _has_ipv6(device: Device) -> bool:
    return not device.namespace.device_sysctl(device.name, "disable_ipv6", "ipv6")


def settle_link_local(namespace: Namespace) -> None:
    """Give every device whose link is ready its link-local address (addrconf_dev_config)."""
    for device in namespace.devices.values():
        ready = device.up and device.carrier and device.kind not in ("loopback", "ipip")
        if ready and not any(is_link_local(each.address) for each in device.addresses6) and _has_ipv6(device):
            put6(device, Address(link_local_of(device.mac), 64, "link", None, "", False))


def device_down(device: Device) -> None:
    """Every route over the device goes, its neighbours, and its IPv6 addresses; IPv4's stay, and stay local.

    That is how kube-proxy's kube-ipvs0, which is never up, holds its addresses (fib_sync_down_dev spares local routes).
    """
    _forget_device(device.namespace.fib, device, spare_local=True)
    _forget_device(device.namespace.fib6, device)
    device.addresses6.clear()
    device.namespace.neighbours.forget_device(device)


def _forget_device(fib: Fib, device: Device, *, spare_local: bool = False, is_gone: bool = False) -> None:
    """Every route over the device, but for multipath routes that have another way (fib_sync_down_dev)."""
    for table in fib.tables():
        for route in fib.routes(table):
            spared = spare_local and route.kind == "local" and route.protocol == "kernel"
            has_way = not is_gone and any(hop.is_alive for hop in route.hops)
            if route.leads_over(device) and not spared and not has_way:
                fib.remove(route)


def disable_ipv6(namespace: Namespace, name: str) -> None:
    """`disable_ipv6` was set for a device, or for `all`: their addresses go."""
    for device in namespace.devices.values():
        if name in ("all", device.name):
            for address in list(device.addresses6):
                device.addresses6.remove(address)
                _remove_routes(device, address)


def flush(device: Device) -> None:
    """Take every address off, with the routes over the device, which is to go."""
    for fib in (device.namespace.fib, device.namespace.fib6):
        _forget_device(fib, device, is_gone=True)
    device.addresses.clear()
    device.addresses6.clear()
