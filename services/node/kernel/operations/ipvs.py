"""IPVS, by operations that mirror its generic netlink family (ip_vs_ctl.c, ip_vs_genl_set_cmd), and read back."""

import errno
from typing import Any, Final

from podwire.proto.messages import kernel as messages
from podwire.proto.packet.addresses import format_address, format_ipv4, is_ipv6, prefix_mask6
from podwire.proto.packet.ipv4 import SCTP, TCP, UDP
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.ipvs.connections import IpvsConnection
from podwire.services.node.kernel.ipvs.director import Ipvs
from podwire.services.node.kernel.ipvs.service import (
    SCHEDULE_FLAGS,
    Destination,
    ServiceKey,
    VirtualService,
    marked_key,
)
from podwire.services.node.kernel.ipvs.statistics import Statistics
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text

PROTOCOLS: Final = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
NAMES: Final = {number: name for name, number in PROTOCOLS.items()}


def _port(number: int) -> int:
    if not 0 <= number <= 65535:
        raise KernelError(errno.EINVAL, f"port {number} is not within 0-65535")
    return number


def _key(operation: Any) -> ServiceKey:
    if operation.fwmark:
        if not 0 < operation.fwmark < 1 << 32:
            raise KernelError(errno.EINVAL, f"fwmark {operation.fwmark} is not within 1-4294967295")
        return marked_key(operation.fwmark, is_ipv6=operation.family == "ipv6")
    return ServiceKey(0, PROTOCOLS[operation.protocol], text.address(operation.address), _port(operation.port))


def _settings(operation: Any) -> dict[str, int]:
    names = {**SCHEDULE_FLAGS[""], **SCHEDULE_FLAGS.get(operation.scheduler, {})}
    flags = 0
    for name in operation.schedule_flags:
        if name not in names:
            raise KernelError(errno.EINVAL, f"scheduler flag {name!r} is none of {', '.join(names)}")
        flags |= names[name]
    if operation.one_packet and not operation.fwmark and operation.protocol != "udp":
        raise KernelError(errno.EINVAL, "one-packet scheduling is only for UDP virtual services")
    if operation.persistent < 0:
        raise KernelError(errno.EINVAL, f"persistent timeout {operation.persistent} is negative")
    return {
        "persistent": operation.persistent,
        "netmask": _netmask(operation),
        "one_packet": int(operation.one_packet),
        "schedule_flags": flags,
    }


def _netmask(operation: Any) -> int:
    """A dotted mask, or for IPv6 a prefix length; all of the address if it is not given."""
    given, wide = operation.netmask, is_ipv6(_key(operation).address)
    if not given:
        return prefix_mask6(128) if wide else 0xFFFFFFFF
    if not wide:
        return text.ipv4(given)
    if not (given.isascii() and given.isdigit()) or not 1 <= int(given) <= 128:
        raise KernelError(errno.EINVAL, f"netmask {given!r} is not within 1-128")
    return prefix_mask6(int(given))


def netmask_text(service: VirtualService) -> str:
    """The mask as it was given, "" for all of the address."""
    if is_ipv6(service.key.address):
        length = service.netmask.bit_count() - 16
        return "" if length == 128 else str(length)
    return "" if service.netmask == 0xFFFFFFFF else format_ipv4(service.netmask)


def _ipvs(kernel: Kernel, operation: Any) -> Ipvs:
    kernel.settle()
    return kernel.namespace(operation.netns).ipvs


def add_service(kernel: Kernel, operation: messages.IpvsServiceAdd) -> None:
    """EEXIST; ENOENT if there is no such scheduler; EINVAL."""
    _ipvs(kernel, operation).add_service(_key(operation), operation.scheduler, **_settings(operation))


def set_service(kernel: Kernel, operation: messages.IpvsServiceSet) -> None:
    """ESRCH if there is none; ENOENT if there is no such scheduler; EINVAL."""
    _ipvs(kernel, operation).set_service(_key(operation), operation.scheduler, **_settings(operation))


def delete_service(kernel: Kernel, operation: messages.IpvsServiceDelete) -> None:
    """ESRCH if there is none."""
    _ipvs(kernel, operation).delete_service(_key(operation))


def _server(operation: Any) -> tuple[int, int]:
    return text.address(operation.server), _port(operation.server_port)


def add_destination(kernel: Kernel, operation: messages.IpvsDestinationAdd) -> None:
    """ESRCH if there is no such service; EEXIST; ERANGE for a negative weight or thresholds the wrong way round."""
    limits = operation.weight, operation.upper_threshold, operation.lower_threshold
    _ipvs(kernel, operation).add_destination(_key(operation), *_server(operation), *limits)


def set_destination(kernel: Kernel, operation: messages.IpvsDestinationSet) -> None:
    """ESRCH if there is no such service; ENOENT if there is no such server; ERANGE."""
    limits = operation.weight, operation.upper_threshold, operation.lower_threshold
    _ipvs(kernel, operation).set_destination(_key(operation), *_server(operation), *limits)


def delete_destination(kernel: Kernel, operation: messages.IpvsDestinationDelete) -> None:
    """ESRCH if there is no such service; ENOENT if there is no such server."""
    _ipvs(kernel, operation).delete_destination(_key(operation), *_server(operation))


def flush(kernel: Kernel, operation: messages.IpvsFlush) -> None:
    """Every service goes."""
    _ipvs(kernel, operation).flush()


def zero(kernel: Kernel, operation: messages.IpvsZero) -> None:
    """ESRCH if a service is named and there is none."""
    _ipvs(kernel, operation).zero(_key(operation) if operation.fwmark or operation.address else None)


def set_timeouts(kernel: Kernel, operation: messages.IpvsTimeouts) -> None:
    """EINVAL for a negative one."""
    if min(operation.tcp, operation.tcp_fin, operation.udp) < 0:
        raise KernelError(errno.EINVAL, "a timeout is negative")
    _ipvs(kernel, operation).set_timeouts(operation.tcp, operation.tcp_fin, operation.udp)


# -- reading


def read_services(namespace: Namespace, wanted: messages.Read) -> list[messages.IpvsService]:
    """Every service with its servers, or the one that is named, if it is there."""
    now = namespace.kernel.now
    if not wanted.service:
        return [_service(service, now) for service in namespace.ipvs.ordered()]
    found = namespace.ipvs.services.get(_named(wanted.service))
    return [] if found is None else [_service(found, now)]


def _named(named: str) -> ServiceKey:
    protocol, _, place = named.partition(" ")
    address, _, port = place.rpartition(":")
    if protocol not in PROTOCOLS or not (port.isascii() and port.isdigit()):
        raise KernelError(errno.EINVAL, f"{named!r} is not `tcp 10.96.0.1:80`")
    return ServiceKey(0, PROTOCOLS[protocol], text.address(address.strip("[]")), _port(int(port)))


def _service(service: VirtualService, now: int) -> messages.IpvsService:
    totals, rates = _statistics(service.statistics, now)
    return messages.IpvsService(
        fwmark=service.key.fwmark,
        protocol=NAMES.get(service.key.protocol, ""),
        address="" if service.key.fwmark else format_address(service.key.address),
        family="ipv6" if is_ipv6(service.key.address) else "ipv4",
        port=service.key.port,
        scheduler=service.scheduler_name,
        persistent=service.persistent,
        netmask=netmask_text(service),
        one_packet=service.one_packet,
        schedule_flags=flag_names(service),
        statistics=totals,
        rates=rates,
        destinations=tuple(_destination(server, now) for server in service.destinations),
    )


def flag_names(service: VirtualService) -> tuple[str, ...]:
    """The scheduler flags in the tool's words."""
    names = SCHEDULE_FLAGS.get(service.scheduler_name, {})
    named = [name for name, bit in names.items() if service.schedule_flags & bit]
    known = sum(names.values())
    return (*named, *(name for name, bit in SCHEDULE_FLAGS[""].items() if service.schedule_flags & bit & ~known))


def _destination(server: Destination, now: int) -> messages.IpvsDestination:
    totals, rates = _statistics(server.statistics, now)
    return messages.IpvsDestination(
        server=format_address(server.address),
        server_port=server.port,
        weight=server.weight,
        active=server.active,
        inactive=server.inactive,
        persistent=server.persistent,
        upper_threshold=server.upper,
        lower_threshold=server.lower,
        statistics=totals,
        rates=rates,
    )


def _statistics(statistics: Statistics, now: int) -> tuple[messages.IpvsStatistics, messages.IpvsStatistics]:
    fields = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")
    totals, rates = (
        messages.IpvsStatistics(**dict(zip(fields, numbers, strict=True)))
        for numbers in (statistics.totals, statistics.rates(now))
    )
    return totals, rates


def read_connections(namespace: Namespace, _: messages.Read) -> list[messages.IpvsConnection]:
    """Every connection and template."""
    return [_connection(each) for each in all_connections(namespace)]


def all_connections(namespace: Namespace) -> list[IpvsConnection]:
    """Connections, then templates, each oldest first."""
    table = namespace.ipvs.connections
    return [*table.requests.values(), *table.templates.values()]


def _connection(each: IpvsConnection) -> messages.IpvsConnection:
    return messages.IpvsConnection(
        protocol=each.protocol,
        client=(format_address(each.client[0]), each.client[1]),
        virtual=(format_address(each.virtual[0]), each.virtual[1]),
        server=(format_address(each.server[0]), each.server[1]),
        state=each.shown_state,
        expires=each.timer.deadline or 0,
        template=each.template,
    )


def read_timeouts(namespace: Namespace, _: messages.Read) -> dict[str, int]:
    """Seconds, as `ipvsadm --set` takes them."""
    return timeouts(namespace)


def timeouts(namespace: Namespace) -> dict[str, int]:
    """The timeouts that can be set."""
    seconds = namespace.ipvs.timeouts
    return {
        "tcp": seconds[TCP]["ESTABLISHED"],
        "tcp_fin": seconds[TCP]["FIN_WAIT"],
        "udp": seconds[UDP]["UDP"],
    }
