"""The line of a frame as `tcpdump -n` prints it (tcpdump print-*.c): proto's summaries, and what goes beyond them:
sequence numbers relative to a connection's first, options in their order, DNS, HTTP, tunnels, -v, -e, -q, -X. Pure.
"""

from dataclasses import dataclass, field
from typing import Final

from podwire.proto.packet import tcp
from podwire.proto.packet.addresses import format_address, format_ipv4, format_mac, ipv6_number
from podwire.proto.packet.checksum import transport_checksum
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, TYPE_IPV6
from podwire.proto.packet.geneve import ETHERNET, Geneve
from podwire.proto.packet.ipv4 import TCP, UDP, IPv4
from podwire.proto.packet.ipv6 import find_upper
from podwire.proto.packet.summary import FLAG_LETTERS, summarize_frame, summarize_packet
from podwire.proto.packet.tcp import Tcp
from podwire.proto.packet.udp import Udp
from podwire.proto.packet.vxlan import LINUX_PORT, Vxlan
from podwire.services.node.programs.tcpdump import dns

_IPIP: Final = 4
_OFFSET_MASK: Final = 0x1FFF
_DNS_PORTS: Final = (53, 5353)
_HTTP_PORTS: Final = (80, 8080, 3128)
_VXLAN, _GENEVE = 4789, 6081
_MOST_CONNECTIONS: Final = 4096
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"HTTP/")
_KINDS: Final = {TYPE_IPV4: "IPv4", TYPE_IPV6: "IPv6", TYPE_ARP: "ARP", 0x8100: "802.1Q", 0x88CC: "LLDP"}
_PROTOCOLS: Final = {1: "ICMP", 4: "IPIP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}

type Ends = tuple[bytes, int, bytes, int]


@dataclass(slots=True)
class Printer:
    """How frames are printed, and the first sequence numbers of the connections seen so far."""

    verbose: bool = False
    link: bool = False
    quiet: bool = False
    absolute: bool = False
    _first: dict[Ends, int] = field(default_factory=dict)

    def frame(self, frame: bytes) -> str:
        """Everything after the time; more than one line for tunnels and with `verbose`."""
        if len(frame) < 14:
            return f"[|ether], length {len(frame)}"
        kind = int.from_bytes(frame[12:14])
        told = self.packet(frame[14:]) if kind in (TYPE_IPV4, TYPE_IPV6) else self._other(frame, kind)
        if not self.link:
            return told
        name = _KINDS.get(kind, "Unknown")
        head = f"{format_mac(frame[6:12])} > {format_mac(frame[:6])}, ethertype {name} ({kind:#06x})"
        return f"{head}, length {len(frame)}: {_without_name(told)}"

    def _other(self, frame: bytes, kind: int) -> str:
        if kind == TYPE_ARP:
            told = summarize_frame(frame)
            return told.replace("ARP, ", "ARP, Ethernet (len 6), IPv4 (len 4), ", 1) if self.verbose else told
        head = f"{format_mac(frame[6:12])} > {format_mac(frame[:6])}, ethertype Unknown ({kind:#06x})"
        return f"{head}, length {len(frame) - 14}: "

    def packet(self, octets: bytes) -> str:
        """An IP packet."""
        if len(octets) < (40 if octets[:1] and octets[0] >> 4 == 6 else 20):
            return summarize_packet(octets)
        try:
            return self._packet6(octets) if octets[:1] and octets[0] >> 4 == 6 else self._packet4(octets)
        except PacketError:
            return summarize_packet(octets)

    def _packet4(self, octets: bytes) -> str:
        header, at = IPv4.parse(octets)
        payload = octets[at : header.total_length]
        whole = not header.fragment & _OFFSET_MASK
        ends = octets[12:16], octets[16:20]
        told = self._upper(ends, header.protocol, payload) if whole else ""
        told = told or summarize_packet(octets).removeprefix("IP ")
        if not whole:
            told = f"{format_ipv4(header.source)} > {format_ipv4(header.destination)}: ip-proto-{header.protocol}"
        return f"IP {self._header4(octets, header)}{told}"

    def _header4(self, octets: bytes, header: IPv4) -> str:
        if not self.verbose:
            return ""
        bits = header.fragment
        flags = ("DF" if bits & 0x4000 else "") + ("+" if bits & 0x2000 else "") or "none"
        name = _PROTOCOLS.get(header.protocol, "unknown")
        return (
            f"(tos {octets[1]:#x}, ttl {octets[8]}, id {int.from_bytes(octets[4:6])}, offset {(bits & 0x1FFF) * 8}, "
            f"flags [{flags}], proto {name} ({header.protocol}), length {header.total_length})\n    "
        )

    def _packet6(self, octets: bytes) -> str:
        upper = find_upper(octets)
        payload = octets[upper.at : 40 + int.from_bytes(octets[4:6])]
        told = "" if upper.fragment else self._upper((octets[8:24], octets[24:40]), upper.protocol, payload)
        told = told or summarize_packet(octets).removeprefix("IP6 ")
        if not self.verbose:
            return f"IP6 {told}"
        name = _PROTOCOLS.get(octets[6], "unknown")
        length = int.from_bytes(octets[4:6])
        return f"IP6 (hlim {octets[7]}, next-header {name} ({octets[6]}) payload length: {length}) {told}"

    def _upper(self, ends: tuple[bytes, bytes], protocol: int, payload: bytes) -> str:
        if protocol == TCP:
            return self._tcp(ends, payload)
        if protocol == UDP:
            return self._udp(ends, payload)
        if protocol == _IPIP:
            inner = self.packet(payload)
            return f"{_address(ends[0])} > {_address(ends[1])}: {_without_name(inner) if self.link else inner}"
        return ""

    # -- TCP

    def _tcp(self, ends: tuple[bytes, bytes], payload: bytes) -> str:
        header, at = Tcp.parse(payload)
        data = payload[at:]
        between = f"{_address(ends[0])}.{header.source_port} > {_address(ends[1])}.{header.destination_port}: "
        if self.quiet:
            return f"{between}tcp {len(data)}"
        letters = "".join(letter for bit, letter in FLAG_LETTERS if header.flags & bit) or "none"
        parts = [f"Flags [{letters}]"]
        if self.verbose:
            wrong = transport_checksum(_number(ends[0]), _number(ends[1]), TCP, payload)
            parts.append(f"cksum {int.from_bytes(payload[16:18]):#06x} ({'incorrect' if wrong else 'correct'})")
        parts += self._numbers(ends, header, len(data))
        parts += [f"win {header.window}"]
        parts += [f"urg {int.from_bytes(payload[18:20])}"] if header.flags & tcp.URG else []
        options = self._options(ends, header, payload[20:at])
        parts += [f"options [{options}]"] if options else []
        return between + ", ".join([*parts, f"length {len(data)}"]) + _http(header, data)

    def _numbers(self, ends: tuple[bytes, bytes], header: Tcp, length: int) -> list[str]:
        """seq and ack; after a connection's first segment relative to that (print-tcp.c, tcp_seq_hash)."""
        own: Ends = (ends[0], header.source_port, ends[1], header.destination_port)
        others: Ends = (ends[1], header.destination_port, ends[0], header.source_port)
        first, first_ack = self._bases(own, others, header)
        sequence = (header.sequence - first) & 0xFFFFFFFF
        parts = []
        if length:
            parts.append(f"seq {sequence}:{(sequence + length) & 0xFFFFFFFF}")
        elif header.flags & (tcp.SYN | tcp.FIN | tcp.RST):
            parts.append(f"seq {sequence}")
        if header.flags & tcp.ACK:
            parts.append(f"ack {(header.acknowledgement - first_ack) & 0xFFFFFFFF}")
        return parts

    def _bases(self, own: Ends, others: Ends, header: Tcp) -> tuple[int, int]:
        """What is taken off; a connection begins with the first segment that acknowledges, or with a SYN that does."""
        if self.absolute or not header.flags & tcp.ACK:
            return 0, 0
        if own in self._first and not header.flags & tcp.SYN:
            return self._first[own], self._first[others]
        if len(self._first) >= _MOST_CONNECTIONS:
            self._first.clear()
        self._first[own] = header.sequence
        self._first[others] = (header.acknowledgement - 1) & 0xFFFFFFFF
        return 0, 0

    def _options(self, ends: tuple[bytes, bytes], header: Tcp, octets: bytes) -> str:
        told, at = [], 0
        while at < len(octets):
            kind = octets[at]
            if kind == 0:
                told.append("eol")
                break
            if kind == 1:
                told.append("nop")
                at += 1
                continue
            size = octets[at + 1] if at + 1 < len(octets) else 0
            if size < 2 or at + size > len(octets):
                told.append("[|tcp]")
                break
            told.append(self._option(ends, header, kind, octets[at + 2 : at + size]))
            at += size
        return ",".join(told)

    def _option(self, ends: tuple[bytes, bytes], header: Tcp, kind: int, value: bytes) -> str:
        if kind == 2:
            return f"mss {int.from_bytes(value)}"
        if kind == 3:
            return f"wscale {int.from_bytes(value)}"
        if kind == 4:
            return "sackOK"
        if kind == 8:
            return f"TS val {int.from_bytes(value[:4])} ecr {int.from_bytes(value[4:])}"
        if kind == 5:
            others: Ends = (ends[1], header.destination_port, ends[0], header.source_port)
            first = 0 if self.absolute else self._first.get(others, 0)
            edges = [(int.from_bytes(value[each : each + 4]) - first) & 0xFFFFFFFF for each in range(0, len(value), 4)]
            blocks = "".join(f"{{{low}:{high}}}" for low, high in zip(edges[::2], edges[1::2], strict=False))
            return f"sack {len(edges) // 2} {blocks}"
        return f"unknown-{kind} 0x{value.hex()}"

    # -- UDP and what it carries

    def _udp(self, ends: tuple[bytes, bytes], payload: bytes) -> str:
        source, destination = int.from_bytes(payload[:2]), int.from_bytes(payload[2:4])
        between = f"{_address(ends[0])}.{source} > {_address(ends[1])}.{destination}: "
        try:
            header, at = Udp.parse(payload)
        except PacketError:
            return f"{between}UDP, length {int.from_bytes(payload[4:6]) - 8}" if len(payload) >= 8 else ""
        data = payload[at : header.length]
        return between + (self._carried(header, data) or f"UDP, length {len(data)}")

    def _carried(self, header: Udp, data: bytes) -> str:
        if self.quiet or not data:
            return ""
        if header.source_port in _DNS_PORTS or header.destination_port in _DNS_PORTS:
            return dns.describe(data)
        try:
            if header.destination_port in (_VXLAN, LINUX_PORT):
                vxlan, at = Vxlan.parse(data)
                name = f"VXLAN, flags [I] ({data[0]:#04x}), vni {vxlan.vni}"
                if header.destination_port == LINUX_PORT:
                    name = f"OTV, flags [I] ({data[0]:#04x}), overlay {int.from_bytes(data[1:4])}, instance {vxlan.vni}"
                return f"{name}\n{self.frame(data[at:])}"
            if header.destination_port == _GENEVE:
                geneve, at = Geneve.parse(data)
                proto = f", proto TEB ({ETHERNET:#06x})" if self.link else ""
                glue = "\n\t" if self.verbose else ": "
                return f"Geneve, Flags [none], vni {geneve.vni:#x}{proto}{glue}{self.frame(data[at:])}"
        except PacketError:
            return ""
        return ""


def _without_name(told: str) -> str:
    for name in ("IP6 ", "IP ", "ARP, "):
        if told.startswith(name):
            return told.removeprefix(name)
    return told


def _number(octets: bytes) -> int:
    return ipv6_number(octets) if len(octets) == 16 else int.from_bytes(octets)


def _address(octets: bytes) -> str:
    return format_address(_number(octets))


def _http(header: Tcp, data: bytes) -> str:
    if not data or (header.source_port not in _HTTP_PORTS and header.destination_port not in _HTTP_PORTS):
        return ""
    if not data.startswith(_METHODS):
        return ": HTTP"
    first = data.partition(b"\r\n")[0].decode("ascii", errors="replace")
    return f": HTTP: {first}" if first.isprintable() else ": HTTP"


def hexadecimal(octets: bytes, *, with_text: bool) -> str:
    """-x and -X: sixteen bytes a line (print-ascii.c)."""
    lines = []
    for at in range(0, len(octets), 16):
        row = octets[at : at + 16]
        pairs = " ".join(row[each : each + 2].hex() for each in range(0, len(row), 2))
        text = "".join(chr(byte) if 32 < byte < 127 or byte == 32 else "." for byte in row)
        lines.append(f"\t{at:#06x}:  " + (f"{pairs:<39}  {text}" if with_text else pairs))
    return "".join(f"{line}\n" for line in lines)
