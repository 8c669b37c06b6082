"""What ICMP errors mean to a socket (Linux net/ipv4/icmp.c icmp_err_convert, net/ipv6/icmp.c tab_unreach)."""

import errno
from typing import Final, NamedTuple

from podwire.proto.packet import icmp, icmpv6
from podwire.proto.packet.icmp import Icmp

MINIMUM_PATH_MTU: Final = 552
"""net.ipv4.route.min_pmtu."""
_UNREACHABLE: Final = {
    icmp.NET_UNREACHABLE: errno.ENETUNREACH,
    icmp.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    icmp.PROTOCOL_UNREACHABLE: errno.ENOPROTOOPT,
    icmp.PORT_UNREACHABLE: errno.ECONNREFUSED,
    icmp.NET_PROHIBITED: errno.ENETUNREACH,
    icmp.HOST_PROHIBITED: errno.EHOSTUNREACH,
    icmp.ADMINISTRATIVELY_PROHIBITED: errno.EHOSTUNREACH,
}
_UNREACHABLE6: Final = {
    icmpv6.NO_ROUTE: errno.ENETUNREACH,
    icmpv6.ADMINISTRATIVELY_PROHIBITED: errno.EACCES,
    icmpv6.BEYOND_SCOPE: errno.EHOSTUNREACH,
    icmpv6.ADDRESS_UNREACHABLE: errno.EHOSTUNREACH,
    icmpv6.PORT_UNREACHABLE: errno.ECONNREFUSED,
    icmpv6.FAILED_POLICY: errno.EACCES,
    icmpv6.REJECT_ROUTE: errno.EACCES,
}


class PathError(NamedTuple):
    """An errno (0: none to raise), and the path's MTU where that is the complaint (else 0)."""

    number: int
    mtu: int = 0


def read_error(header: Icmp, *, is_ipv6: bool) -> PathError:
    """What an ICMP error's header says."""
    if is_ipv6:
        return _read6(header)
    if header.type != icmp.DESTINATION_UNREACHABLE:
        return PathError(errno.EHOSTUNREACH)
    if header.code == icmp.FRAGMENTATION_NEEDED:
        return PathError(0, max(header.sequence, MINIMUM_PATH_MTU))
    return PathError(_UNREACHABLE.get(header.code, 0))


def _read6(header: Icmp) -> PathError:
    if header.type == icmpv6.PACKET_TOO_BIG:
        return PathError(0, max(header.rest, 1280))
    if header.type == icmpv6.DESTINATION_UNREACHABLE:
        return PathError(_UNREACHABLE6.get(header.code, 0))
    return PathError(errno.EPROTO if header.type == icmpv6.PARAMETER_PROBLEM else errno.EHOSTUNREACH)
