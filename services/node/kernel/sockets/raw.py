"""Raw IP sockets that bring their own header: what `podwire inject` sends with (raw(7), IP_HDRINCL).

IPv4 as in Linux's net/ipv4/raw.c, raw_send_hdrinc: the total length and the header checksum are always filled in, a
source or identification of zero too; the transport is sent as it stands. IPv6 as in net/ipv6/raw.c,
rawv6_send_hdrinc: nothing is filled in. Neither fragments. What no header of the family begins like (another version, a
header length below 20, an IPv6 length that lies) Linux sends as it stands; here it is refused with EINVAL.
"""

import errno
from typing import TYPE_CHECKING

from podwire.proto.packet.addresses import ipv6_number
from podwire.proto.packet.checksum import internet_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ipv4 import MINIMUM_HEADER
from podwire.proto.packet.ipv6 import HEADER_LENGTH, find_upper
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.errors import KernelError

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace


def send_raw(namespace: "Namespace", data: bytes, trace: str = "") -> None:
    """Send a whole IP packet of either family; KernelError EINVAL, EMSGSIZE, ENETUNREACH."""
    complete = _checked6 if data[:1] and data[0] >> 4 == 6 else _completed4
    packet = complete(namespace, data)
    namespace.kernel.send_made(namespace, packet, trace)


def _completed4(namespace: "Namespace", data: bytes) -> bytes:
    length = (data[0] & 15) * 4 if data else 0
    if len(data) < MINIMUM_HEADER or data[0] >> 4 != 4 or not MINIMUM_HEADER <= length <= len(data):
        raise KernelError(errno.EINVAL, "not a whole IPv4 header")
    destination = int.from_bytes(data[16:20])
    _check_size(namespace, destination, data)
    packet = bytearray(data)
    packet[2:4] = len(packet).to_bytes(2)
    if packet[12:16] == bytes(4):
        packet[12:16] = namespace.sockets.source_for(destination).to_bytes(4)
    if packet[4:6] == bytes(2):
        packet[4:6] = namespace.next_identification().to_bytes(2)
    packet[10:12] = bytes(2)
    packet[10:12] = internet_checksum(packet[:length]).to_bytes(2)
    return bytes(packet)


def _checked6(namespace: "Namespace", data: bytes) -> bytes:
    if len(data) < HEADER_LENGTH or HEADER_LENGTH + int.from_bytes(data[4:6]) != len(data):
        raise KernelError(errno.EINVAL, "not a whole IPv6 packet")
    try:
        find_upper(data)
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None
    _check_size(namespace, ipv6_number(data[24:40]), data)
    return data


def _check_size(namespace: "Namespace", destination: int, data: bytes) -> None:
    route = internet.route_to(namespace, destination)
    if route is None or route.device is None:
        raise KernelError(errno.ENETUNREACH)
    if len(data) > min(route.device.mtu, 0xFFFF):
        raise KernelError(errno.EMSGSIZE, f"{len(data)} bytes are more than the MTU {route.device.mtu}")
