"""Routes (rtnetlink RTM_NEWROUTE, RTM_DELROUTE; Linux fib_check_nh for what a next hop must satisfy)."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import prefix_mask
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Route
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text


def add(kernel: Kernel, operation: messages.RouteAdd | messages.RouteReplace) -> None:
    """EEXIST if there (add), ENETUNREACH for a gateway that is not on-link, ENETDOWN for a device that is down."""
    namespace = kernel.namespace(operation.netns)
    route = _build(namespace, operation)
    existing = namespace.fib.find(route.key)
    if existing is not None:
        if isinstance(operation, messages.RouteAdd):
            raise KernelError(errno.EEXIST)
        namespace.fib.remove(existing)
    namespace.fib.add(route)
    kernel.changed()


def _build(namespace: Namespace, operation: messages.RouteAdd | messages.RouteReplace) -> Route:
    destination, length = text.prefix(operation.destination)
    if destination & ~prefix_mask(length) & 0xFFFFFFFF:
        raise KernelError(errno.EINVAL, "Invalid prefix for given prefix length.")
    gateway = text.optional_ipv4(operation.via)
    source = _checked_source(namespace, operation.source)
    device = namespace.device(operation.device) if operation.device else None
    if operation.kind in ("blackhole", "unreachable", "prohibit"):
        device, gateway = None, None
    else:
        device = _checked_device(namespace, device, gateway, operation.onlink)
    scope = operation.scope or ("link" if gateway is None and device is not None else "global")
    return Route(
        destination,
        length,
        device,
        gateway,
        source,
        operation.metric,
        operation.table,
        operation.protocol,
        scope,
        operation.kind,
        operation.onlink,
    )


def _checked_source(namespace: Namespace, given: str) -> int | None:
    source = text.optional_ipv4(given)
    if source is None:
        return None
    route = namespace.fib.lookup(source)
    if route is None or route.kind != "local":
        raise KernelError(errno.EINVAL, "Invalid prefsrc address.")
    return source


def _checked_device(namespace: Namespace, device: Device | None, gateway: int | None, onlink: bool) -> Device:
    if gateway is None:
        if device is None:
            raise KernelError(errno.ENODEV)
        return _running(device)
    if onlink:
        if device is None:
            raise KernelError(errno.EINVAL, "Nexthop device required for onlink.")
        return _running(device)
    way = namespace.fib.lookup(gateway)
    if way is not None and way.kind == "local":
        raise KernelError(errno.EINVAL, "Nexthop has invalid gateway.")
    if way is None or way.kind != "unicast" or way.device is None or way.gateway is not None:
        raise KernelError(errno.ENETUNREACH, "Nexthop has invalid gateway.")
    if device is not None and way.device is not device:
        raise KernelError(errno.ENETUNREACH, "Nexthop has invalid gateway.")
    return _running(way.device)


def _running(device: Device) -> Device:
    if not device.up:
        raise KernelError(errno.ENETDOWN, "Device for nexthop is not up.")
    return device


def delete(kernel: Kernel, operation: messages.RouteDelete) -> None:
    """ESRCH if nothing fits."""
    namespace = kernel.namespace(operation.netns)
    destination, length = text.prefix(operation.destination)
    gateway = text.optional_ipv4(operation.via)
    device = namespace.device(operation.device) if operation.device else None
    for route in namespace.fib.routes(operation.table):
        fits = (
            (route.destination, route.length) == (destination, length)
            and gateway in (None, route.gateway)
            and device in (None, route.device)
            and operation.metric in (None, route.metric)
            and operation.protocol in ("", route.protocol)
        )
        if fits:
            namespace.fib.remove(route)
            kernel.changed()
            return
    raise KernelError(errno.ESRCH)
