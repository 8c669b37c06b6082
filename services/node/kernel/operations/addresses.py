"""Addresses, and the routes that come with them (Linux net/ipv4/devinet.c, fib_add_ifaddr)."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import prefix_mask
from podwire.services.node.kernel.devices.device import Address, Device
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import LOCAL, MAIN, Fib, Route
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.operations import text


def add(kernel: Kernel, operation: messages.AddressAdd) -> None:
    """EEXIST if the device has it already, ENODEV if there is no device, EINVAL for what is no address."""
    device = kernel.namespace(operation.netns).device(operation.device)
    value, length = text.prefix(operation.address)
    if value == 0 or any((each.address, each.length) == (value, length) for each in device.addresses):
        raise KernelError(errno.EEXIST if value else errno.EINVAL, "Address already assigned." if value else "")
    broadcast = _broadcast(operation.broadcast, value, length)
    scope = "host" if device.kind == "loopback" and operation.scope == "global" else operation.scope
    address = Address(value, length, scope, broadcast, device.name, operation.noprefixroute)
    device.addresses.append(address)
    if device.up:
        _add_routes(device, address)
    kernel.changed()


def _broadcast(given: str, value: int, length: int) -> int | None:
    if given in ("+", "brd"):
        return value | ~prefix_mask(length) & 0xFFFFFFFF if length < 31 else None
    return text.optional_ipv4(given)


def delete(kernel: Kernel, operation: messages.AddressDelete) -> None:
    """EADDRNOTAVAIL if the device does not have it."""
    device = kernel.namespace(operation.netns).device(operation.device)
    value, length = text.prefix(operation.address)
    for address in device.addresses:
        if (address.address, address.length) == (value, length):
            device.addresses.remove(address)
            _remove_routes(device, address)
            kernel.changed()
            return
    raise KernelError(errno.EADDRNOTAVAIL)


def routes_of(device: Device, address: Address) -> list[Route]:
    """What the kernel enters by itself for an address on a device that is up."""
    value, length, mask = address.address, address.length, prefix_mask(address.length)
    local = Route(value, 32, device, None, value, 0, LOCAL, "kernel", "host", "local")
    routes = [local]
    if device.kind == "loopback":
        return [*routes, Route(value & mask, length, device, None, value, 0, LOCAL, "kernel", "host", "local")]
    if length < 32 and not address.noprefixroute:
        routes.append(Route(value & mask, length, device, None, value, 0, MAIN, "kernel", "link"))
    if length < 31:
        broadcast = value | ~mask & 0xFFFFFFFF
        routes.append(Route(broadcast, 32, device, None, value, 0, LOCAL, "kernel", "link", "broadcast"))
    return routes


def _add_routes(device: Device, address: Address) -> None:
    fib = device.namespace.fib
    for route in routes_of(device, address):
        if route not in fib.routes(route.table):
            fib.add(route)


def _remove_routes(device: Device, address: Address) -> None:
    kept = [route for other in device.addresses for route in routes_of(device, other)]
    fib = device.namespace.fib
    for route in routes_of(device, address):
        if route not in kept and route in fib.routes(route.table):
            fib.remove(route)
    for route in fib.routes(MAIN):
        if route.source == address.address and route.device is device and route.protocol != "kernel":
            fib.remove(route)


def device_up(device: Device) -> None:
    """Enter the routes of every address; lo gets 127.0.0.1/8 by itself."""
    if device.kind == "loopback" and not device.addresses:
        device.addresses.append(Address(0x7F000001, 8, "host", None, device.name, False))
    for address in device.addresses:
        _add_routes(device, address)


def device_down(device: Device) -> None:
    """Every route over the device goes, and its neighbours; addresses stay."""
    fib: Fib = device.namespace.fib
    for table in (LOCAL, MAIN):
        for route in fib.routes(table):
            if route.device is device:
                fib.remove(route)
    device.namespace.neighbours.forget_device(device)


def flush(device: Device) -> None:
    """Take every address off."""
    device.addresses.clear()
