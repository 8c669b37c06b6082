"""A packet on its way through one machine: what Linux calls an sk_buff.

`data` is the layer-3 packet, always as it would be on the wire; the parsed fields mirror it. Addresses and
ports are changed only through `set_source` and `set_destination`, which keep bytes, fields and checksums agreed.
"""

import struct
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import format_address, ipv6_number, ipv6_octets
from podwire.proto.packet.checksum import internet_checksum, updated_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.ipv4 import SCTP, TCP, UDP
from podwire.proto.packet.ipv6 import ICMPV6, find_upper
from podwire.proto.packet.sctp import HEADER_LENGTH as SCTP_HEADER
from podwire.proto.packet.sctp import packet_checksum
from podwire.proto.packet.summary import summarize_arp, summarize_packet
from podwire.services.node.kernel.drops import DropReason

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.entry import Connection
    from podwire.services.node.kernel.counters import Counter
    from podwire.services.node.kernel.devices.bridge import Port
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.flows.recording import Recording
    from podwire.services.node.kernel.sockets.base import Socket

_FIXED: Final = struct.Struct("!BBHHHBBHII")
_PORTS: Final = struct.Struct("!HH")
FRAGMENT_BITS: Final = 0x3FFF
_CHECKSUM_AT: Final = {TCP: 16, UDP: 6}
_CHECKSUM6_AT: Final = {**_CHECKSUM_AT, ICMPV6: 2}
_WITH_PORTS: Final = (TCP, UDP, SCTP)


class Packet:
    """One packet. `source_port` and `destination_port` are 0 where there are none (ICMP, later fragments).

    `bridged_from` is the port and source MAC of a bridged packet that waits for the MAC of where DNAT sent it.
    `reassembled` packets were put together here and may be cut again whatever they say; no piece is then to be larger
    than `largest_fragment`, the largest of those that came (0: not known any more).
    """

    __slots__ = (
        "bridged",
        "bridged_from",
        "connection",
        "connection_state",
        "data",
        "destination",
        "destination_port",
        "direction",
        "ethertype",
        "fragment",
        "header_length",
        "in_device",
        "ipvs",
        "largest_fragment",
        "link_destination",
        "link_source",
        "mark",
        "out_device",
        "parsed",
        "physical_in",
        "physical_out",
        "priority",
        "protocol",
        "reassembled",
        "recording",
        "related",
        "socket",
        "source",
        "source_port",
        "trace",
        "transits",
    )

    def __init__(self, data: bytes | bytearray, ethertype: int = TYPE_IPV4, trace: str = "") -> None:
        self.data = bytearray(data)
        self.ethertype = ethertype
        self.trace = trace
        self.link_source = b"\0\0\0\0\0\0"
        self.link_destination = b"\0\0\0\0\0\0"
        self.parsed = False
        self.source = self.destination = self.protocol = self.source_port = self.destination_port = 0
        self.header_length = self.fragment = 0
        self.in_device: Device | None = None
        self.out_device: Device | None = None
        self.physical_in: Device | None = None
        self.physical_out: Device | None = None
        self.mark = 0
        self.priority = 0
        """Which class of a queue discipline takes it (major number << 16 | minor), or a number for its map."""
        self.connection: Connection | None = None
        self.direction = 0
        self.connection_state = ""
        self.related = False
        self.ipvs = False
        self.bridged = False
        self.bridged_from: tuple[Port, bytes] | None = None
        self.reassembled = False
        self.largest_fragment = 0
        self.transits = 0
        self.recording: Recording | None = None
        self.socket: Socket | None = None
        """Who sent it, while it is on its way out of its host; whom TPROXY gives it to, on its way in."""

    def parse(self) -> DropReason | None:
        """Check and read the IP header and ports; why the packet is to be dropped, or None.

        Bytes after the total length (Ethernet padding) are cut off, as ip_rcv does.
        """
        data = self.data
        if self.ethertype == TYPE_IPV6:
            return self._parse6()
        if len(data) < 20:
            return DropReason.PKT_TOO_SMALL
        first, _, total, _, self.fragment, _, self.protocol, _, self.source, self.destination = _FIXED.unpack_from(data)
        length = self.header_length = (first & 15) * 4
        if first >> 4 != 4 or length < 20 or length > len(data) or total < length:
            return DropReason.IP_INHDR
        if internet_checksum(data[:length]):
            return DropReason.IP_CSUM
        if total > len(data):
            return DropReason.PKT_TOO_SMALL
        if total < len(data):
            del data[total:]
        self.parse_ports()
        self.parsed = True
        return None

    def _parse6(self) -> DropReason | None:
        """The same for IPv6; `header_length` then counts the extension headers too."""
        data = self.data
        if len(data) < 40:
            return DropReason.PKT_TOO_SMALL
        total = 40 + int.from_bytes(data[4:6])
        if data[0] >> 4 != 6:
            return DropReason.IP_INHDR
        if total > len(data):
            return DropReason.PKT_TOO_SMALL
        del data[total:]
        try:
            upper = find_upper(data)
        except PacketError:
            return DropReason.IP_INHDR
        self.protocol, self.header_length, self.fragment = upper.protocol, upper.at, upper.fragment
        self.source, self.destination = ipv6_number(data[8:24]), ipv6_number(data[24:40])
        self.parse_ports()
        self.parsed = True
        return None

    def assume(self, like: "Packet") -> None:
        """Take over what another packet of the same flow, whole and without options, was parsed to."""
        self.header_length = like.header_length
        self.protocol = like.protocol
        self.source, self.source_port = like.source, like.source_port
        self.destination, self.destination_port = like.destination, like.destination_port
        self.link_destination = like.link_destination
        self.parsed = True

    def parse_ports(self) -> None:
        """Read the ports again, after `header_length`, `protocol` and `fragment` were set."""
        self.source_port = self.destination_port = 0
        has_ports = self.protocol in _WITH_PORTS and not self.fragment & 0x1FFF
        if has_ports and len(self.data) >= self.header_length + 4:
            self.source_port, self.destination_port = _PORTS.unpack_from(self.data, self.header_length)

    @property
    def ttl(self) -> int:
        """Time to live, or hop limit."""
        return self.data[7] if self.ethertype == TYPE_IPV6 else self.data[8]

    @property
    def tos(self) -> int:
        """Type of service, or traffic class."""
        data = self.data
        return (data[0] << 4 | data[1] >> 4) & 0xFF if self.ethertype == TYPE_IPV6 else data[1]

    @property
    def length(self) -> int:
        """Bytes of the IP packet: what rules and chains count."""
        return len(self.data)

    @property
    def payload(self) -> memoryview:
        """What follows the IP header."""
        return memoryview(self.data)[self.header_length :]

    @property
    def tcp_flags(self) -> int:
        """The flag byte of a TCP segment; 0 if the packet is too short or no first fragment."""
        at = self.header_length + 13
        return self.data[at] if not self.fragment & 0x1FFF and len(self.data) > at else 0

    def decrease_ttl(self) -> None:
        """One hop less, with the header checksum."""
        data = self.data
        if self.ethertype == TYPE_IPV6:
            data[7] -= 1
            return
        data[8] -= 1
        checksum = (data[10] << 8) + data[11]
        data[10:12] = updated_checksum(checksum, 0x100, 0).to_bytes(2)

    def set_source(self, address: int, port: int) -> None:
        """Translate the source."""
        self._translate(12, 0, self.source, address, self.source_port, port)
        self.source, self.source_port = address, port if self.source_port else 0

    def set_destination(self, address: int, port: int) -> None:
        """Translate the destination."""
        self._translate(16, 2, self.destination, address, self.destination_port, port)
        self.destination, self.destination_port = address, port if self.destination_port else 0

    def _translate(self, at: int, port_at: int, old: int, new: int, old_port: int, new_port: int) -> None:
        data = self.data
        if self.ethertype == TYPE_IPV6:
            at = 8 if at == 12 else 24
            data[at : at + 16] = ipv6_octets(new)
            checksum_at = _CHECKSUM6_AT.get(self.protocol)
        else:
            data[at : at + 4] = new.to_bytes(4)
            self._update(10, old, new)
            checksum_at = _CHECKSUM_AT.get(self.protocol)
        if self.protocol == SCTP:
            return self._translate_sctp(port_at, old_port, new_port)
        if checksum_at is None or self.fragment & 0x1FFF or len(data) < self.header_length + checksum_at + 2:
            return None
        checksum_at += self.header_length
        if old_port:
            port_at += self.header_length
            data[port_at : port_at + 2] = new_port.to_bytes(2)
        else:
            new_port = 0
        if self.protocol == UDP and not (data[checksum_at] or data[checksum_at + 1]):
            return None
        return self._update(checksum_at, old + old_port, new + new_port)

    def _translate_sctp(self, port_at: int, old_port: int, new_port: int) -> None:
        """A port, and the CRC32c, which covers no address (nf_nat_proto.c, sctp_manip_pkt).

        Of a packet that an ICMP error quotes the checksum is left alone: most of what it covers is missing.
        """
        data, at = self.data, self.header_length
        if not old_port or old_port == new_port:
            return
        data[at + port_at : at + port_at + 2] = new_port.to_bytes(2)
        whole = 40 + int.from_bytes(data[4:6]) if self.ethertype == TYPE_IPV6 else int.from_bytes(data[2:4])
        if len(data) >= at + SCTP_HEADER and whole == len(data):
            data[at + 8 : at + 12] = packet_checksum(memoryview(data)[at:]).to_bytes(4)

    def _update(self, at: int, old: int, new: int) -> None:
        data = self.data
        checksum = updated_checksum(data[at] << 8 | data[at + 1], old, new)
        if at == self.header_length + 6 and self.protocol == UDP:
            checksum = checksum or 0xFFFF
        data[at : at + 2] = checksum.to_bytes(2)

    def count(self, counter: "Counter", length: int) -> None:
        """Count this packet at a point, and have later packets of its flow counted there too."""
        counter.packets += 1
        counter.bytes += length
        if self.recording is not None:
            self.recording.counters.append((counter, length))

    def frame(self) -> bytes:
        """The Ethernet frame's bytes."""
        return b"%b%b%b%b" % (
            self.link_destination,
            self.link_source,
            self.ethertype.to_bytes(2),
            bytes(self.data),
        )

    def copy(self) -> "Packet":
        """An independent copy for flooding; it is never recorded for the flow cache."""
        twin = Packet(self.data, self.ethertype, self.trace)
        for name in _COPIED:
            setattr(twin, name, getattr(self, name))
        return twin

    def leave_namespace(self) -> None:
        """Forget what Linux scrubs when a packet crosses namespaces (skb_scrub_packet)."""
        self.connection = None
        self.connection_state = ""
        self.related = False
        self.ipvs = False
        self.mark = self.priority = 0
        self.bridged = False
        self.physical_in = self.physical_out = None

    def lengthen(self, octets: int) -> None:
        """Say in the IP header that the packet became longer."""
        at = 4 if self.ethertype == TYPE_IPV6 else 2
        length = int.from_bytes(self.data[at : at + 2])
        self.data[at : at + 2] = (length + octets).to_bytes(2)
        if at == 2:
            self._update(10, length, length + octets)

    def summary(self) -> str:
        """One line in the manner of tcpdump."""
        if self.ethertype in (TYPE_IPV4, TYPE_IPV6):
            return summarize_packet(self.data)
        if self.ethertype == TYPE_ARP:
            return summarize_arp(bytes(self.data))
        return f"ethertype {self.ethertype:#06x}, length {len(self.data)}"

    def endpoints(self) -> tuple[str, str]:
        """Source and destination as `address` or `address:port`."""
        source, destination = format_address(self.source), format_address(self.destination)
        if not self.source_port:
            return source, destination
        if self.ethertype == TYPE_IPV6:
            return f"[{source}]:{self.source_port}", f"[{destination}]:{self.destination_port}"
        return f"{source}:{self.source_port}", f"{destination}:{self.destination_port}"


_COPIED: Final = tuple(name for name in Packet.__slots__ if name not in ("data", "recording", "ethertype", "trace"))
