"""Routes (rtnetlink RTM_NEWROUTE, RTM_DELROUTE; Linux fib_check_nh for what a next hop must satisfy)."""

import errno
from dataclasses import replace
from typing import Final

import msgspec

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import IPV6, is_ipv6, is_link_local, mask_for
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import NO_WAY, NextHop, Route
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text

DEFAULT_METRIC6: Final = 1024
"""IP6_RT_PRIO_USER."""
_MOST_WEIGHT: Final = 256
_TABLES: Final = {"255": "local", "254": "main", "253": "default"}


def table_name(given: str) -> str:
    """A table as the FIB calls it; KernelError EINVAL for what is neither a known name nor a number of 32 bits."""
    name = _TABLES.get(given, given)
    if name in _TABLES.values() or (name.isascii() and name.isdigit() and 0 < int(name) < 1 << 32):
        return name
    raise KernelError(errno.EINVAL, f'argument "{given}" is wrong: "table" value is invalid')


def add(kernel: Kernel, operation: messages.RouteAdd | messages.RouteReplace) -> None:
    """EEXIST if there (add), ENETUNREACH for a gateway that is not on-link, ENETDOWN for a device that is down."""
    namespace = kernel.namespace(operation.netns)
    route = _build(namespace, operation)
    fib = namespace.fib_for(route.destination)
    existing = fib.find(route.key)
    if existing is not None:
        if isinstance(operation, messages.RouteAdd):
            raise KernelError(errno.EEXIST)
        fib.remove(existing)
    fib.add(route)
    kernel.changed()


def _build(namespace: Namespace, operation: messages.RouteAdd | messages.RouteReplace) -> Route:
    if not operation.hops:
        return _build_one(namespace, operation)
    found = []
    for hop in operation.hops:
        if not 1 <= hop.weight <= _MOST_WEIGHT:
            raise KernelError(errno.EINVAL, "Invalid nexthop weight.")
        scope = operation.scope or "global"
        one = msgspec.structs.replace(
            operation, hops=[], via=hop.via, device=hop.device, onlink=hop.onlink, scope=scope
        )
        found.append(NextHop(hop.weight, _build_one(namespace, one)))
    return found[0].route if len(found) == 1 else replace(found[0].route, hops=tuple(found))


def _build_one(namespace: Namespace, operation: messages.RouteAdd | messages.RouteReplace) -> Route:
    gateway = text.optional(operation.via)
    destination, length = text.prefix(operation.destination)
    if gateway is not None and is_ipv6(gateway) and operation.destination == "default":
        destination = IPV6
    if destination & ~mask_for(destination, length):
        raise KernelError(errno.EINVAL, "Invalid prefix for given prefix length.")
    if gateway is not None and is_ipv6(gateway) != is_ipv6(destination):
        raise KernelError(errno.EINVAL, "Nexthop has invalid gateway.")
    source = _checked_source(namespace, operation.source)
    device = namespace.device(operation.device) if operation.device else None
    if operation.kind in (*NO_WAY, "throw"):
        device, gateway = None, None
    else:
        device = _checked_device(namespace, device, gateway, operation.onlink)
    scope = operation.scope or ("link" if gateway is None and device is not None else "global")
    metric = operation.metric
    if is_ipv6(destination):
        scope, metric = "global", metric or DEFAULT_METRIC6
    return Route(
        destination,
        length,
        device,
        gateway,
        source,
        metric,
        table_name(operation.table),
        operation.protocol,
        scope,
        operation.kind,
        operation.onlink,
    )


def _checked_source(namespace: Namespace, given: str) -> int | None:
    source = text.optional(given)
    if source is None:
        return None
    if not internet.is_local(namespace, source):
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
    if is_link_local(gateway):
        if device is None:
            raise KernelError(errno.EINVAL, "Nexthop device required for link-local gateway.")
        return _running(device)
    way = namespace.fib_for(gateway).lookup(gateway)
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
    gateway = text.optional(operation.via)
    if operation.destination == "default" and gateway is not None and is_ipv6(gateway):
        destination = IPV6
    device = namespace.device(operation.device) if operation.device else None
    fib = namespace.fib_for(destination)
    for route in fib.routes(table_name(operation.table)):
        fits = (
            (route.destination, route.length) == (destination, length)
            and operation.metric in (None, route.metric)
            and operation.protocol in ("", route.protocol)
        )
        left = _without(route, gateway, device) if fits else route
        if left is not route:
            fib.remove(route)
            if left is not None:
                fib.add(left)
            kernel.changed()
            return
    raise KernelError(errno.ESRCH)


def _without(route: Route, gateway: int | None, device: Device | None) -> Route | None:
    """What is left of a route, the route itself if it does not fit: of IPv6's ways one may go (ip6_route_del)."""

    def fits(one: Route) -> bool:
        return gateway in (None, one.gateway) and device in (None, one.device)

    if not route.hops or not is_ipv6(route.destination) or (gateway is None and device is None):
        return None if fits(route) else route
    hops = list(route.hops)
    gone = next((hop for hop in hops if fits(hop.route)), None)
    if gone is None:
        return route
    hops.remove(gone)
    return replace(hops[0].route, hops=tuple(hops) if len(hops) > 1 else ())
