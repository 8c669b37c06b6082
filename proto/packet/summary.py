"""One line that says what a frame is, in the manner of `tcpdump -n`."""

from typing import Final

from podwire.proto.packet import arp, icmp, icmpv6, sctp, tcp
from podwire.proto.packet.addresses import format_address, format_ipv4, format_mac
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, TYPE_IPV6, Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import ICMP, OFFSET_MASK, SCTP, TCP, UDP, IPv4
from podwire.proto.packet.ipv6 import ICMPV6, NO_NEXT_HEADER, IPv6, find_upper
from podwire.proto.packet.sctp import Data, Init, Sack, Sctp
from podwire.proto.packet.summary6 import describe_icmpv6
from podwire.proto.packet.tcp import Tcp
from podwire.proto.packet.udp import Udp
from podwire.proto.packet.vxlan import LINUX_PORT, Vxlan

FLAG_LETTERS: Final = (
    (tcp.FIN, "F"),
    (tcp.SYN, "S"),
    (tcp.RST, "R"),
    (tcp.PSH, "P"),
    (tcp.URG, "U"),
    (tcp.ACK, "."),
)
_PORT_PROTOCOLS: Final = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_UNREACHABLE: Final = {
    icmp.NET_UNREACHABLE: "net {0} unreachable",
    icmp.HOST_UNREACHABLE: "host {0} unreachable",
    icmp.PROTOCOL_UNREACHABLE: "{0} protocol {1} unreachable",
    icmp.NET_PROHIBITED: "net {0} unreachable - admin prohibited",
    icmp.HOST_PROHIBITED: "host {0} unreachable - admin prohibited",
    icmp.ADMINISTRATIVELY_PROHIBITED: "host {0} unreachable - admin prohibited filter",
}


def summarize_frame(frame: bytes | memoryview) -> str:
    """One line for an Ethernet frame; malformed bytes give `[…]` with what is wrong, never an error."""
    try:
        header, at = Ethernet.parse(frame)
    except PacketError as error:
        return f"[{error.reason}]"
    if header.ethertype in (TYPE_IPV4, TYPE_IPV6):
        return summarize_packet(frame[at:])
    if header.ethertype == TYPE_ARP:
        return summarize_arp(frame[at:])
    return (
        f"{format_mac(header.source)} > {format_mac(header.destination)}, "
        f"ethertype Unknown ({header.ethertype:#06x}), length {len(frame)}"
    )


def summarize_arp(octets: bytes | memoryview) -> str:
    """One line for an ARP message."""
    try:
        message, _ = Arp.parse(octets)
    except PacketError as error:
        return f"ARP [{error.reason}]"
    target, sender = format_ipv4(message.target_address), format_ipv4(message.sender_address)
    if message.operation == arp.REQUEST:
        return f"ARP, Request who-has {target} tell {sender}, length {arp.LENGTH}"
    return f"ARP, Reply {sender} is-at {format_mac(message.sender_mac)}, length {arp.LENGTH}"


def summarize_packet(packet: bytes | bytearray | memoryview) -> str:
    """One line for an IP packet of either family."""
    octets = bytes(packet)
    is_ipv6 = octets[:1] and octets[0] >> 4 == 6
    try:
        return "IP6 " + _packet6(octets) if is_ipv6 else "IP " + _packet4(octets)
    except PacketError as error:
        return f"IP{'6' if is_ipv6 else ''} [{error.reason}]"


def _packet4(octets: bytes) -> str:
    header, at = IPv4.parse(octets)
    payload = octets[at : header.total_length]
    source, destination = format_ipv4(header.source), format_ipv4(header.destination)
    if header.fragment & OFFSET_MASK:
        return f"{source} > {destination}: ip-proto-{header.protocol}, fragment, length {len(payload)}"
    if header.protocol == ICMP:
        return f"{source} > {destination}: ICMP {_icmp(payload)}, length {len(payload)}"
    return _transport(source, destination, header.protocol, payload) or (
        f"{source} > {destination}: ip-proto-{header.protocol} {len(payload)}"
    )


def _packet6(octets: bytes) -> str:
    header, _ = IPv6.parse(octets)
    upper = find_upper(octets)
    payload = octets[upper.at : 40 + header.payload_length]
    source, destination = format_address(header.source), format_address(header.destination)
    ends = f"{source} > {destination}: "
    if upper.fragment_at and upper.fragment:
        return f"{ends}frag ({(upper.fragment & OFFSET_MASK) * 8}|{len(payload)})"
    if upper.protocol == ICMPV6:
        message, at = icmpv6.parse_message(header.source, header.destination, payload)
        return f"{ends}ICMP6, {describe_icmpv6(message, payload[at:])}, length {len(payload)}"
    if upper.protocol == NO_NEXT_HEADER:
        return f"{ends}no next header"
    return _transport(source, destination, upper.protocol, payload) or f"{ends}ip-proto-{upper.protocol} {len(payload)}"


def _transport(source: str, destination: str, protocol: int, payload: bytes) -> str:
    if protocol == TCP:
        return _tcp(source, destination, payload)
    if protocol == SCTP:
        return _sctp(source, destination, payload)
    return _udp(source, destination, payload) if protocol == UDP else ""


def _tcp(source: str, destination: str, payload: bytes) -> str:
    header, at = Tcp.parse(payload)
    length = len(payload) - at
    letters = "".join(letter for bit, letter in FLAG_LETTERS if header.flags & bit) or "none"
    parts = [f"Flags [{letters}]"]
    if length:
        parts.append(f"seq {header.sequence}:{(header.sequence + length) & 0xFFFFFFFF}")
    elif header.flags & (tcp.SYN | tcp.FIN | tcp.RST):
        parts.append(f"seq {header.sequence}")
    if header.flags & tcp.ACK:
        parts.append(f"ack {header.acknowledgement}")
    parts += [f"win {header.window}", *_tcp_options(header), f"length {length}"]
    return f"{source}.{header.source_port} > {destination}.{header.destination_port}: " + ", ".join(parts)


def _tcp_options(header: Tcp) -> list[str]:
    options = []
    if header.maximum_segment_size is not None:
        options.append(f"mss {header.maximum_segment_size}")
    if header.sack_permitted:
        options.append("sackOK")
    if header.timestamps is not None:
        options.append(f"TS val {header.timestamps[0]} ecr {header.timestamps[1]}")
    if header.window_scale is not None:
        options.append(f"wscale {header.window_scale}")
    return [f"options [{','.join(options)}]"] if options else []


def _udp(source: str, destination: str, payload: bytes) -> str:
    header, at = Udp.parse(payload)
    line = f"{source}.{header.source_port} > {destination}.{header.destination_port}: "
    if header.destination_port == LINUX_PORT:
        try:
            vxlan, inner = Vxlan.parse(payload, at)
            return f"{line}OTV/VXLAN, flags [I] (0x08), vni {vxlan.vni}: {summarize_frame(payload[inner:])}"
        except PacketError:
            pass
    return f"{line}UDP, length {header.length - 8}"


def _sctp(source: str, destination: str, payload: bytes) -> str:
    packet = Sctp.parse(payload, verify=False)
    chunks = "".join(f" ({number}) [{_chunk(chunk)}]" for number, chunk in enumerate(packet.chunks, 1))
    return f"{source}.{packet.source_port} > {destination}.{packet.destination_port}: sctp{chunks}"


def _chunk(chunk: sctp.Chunk) -> str:
    name = sctp.NAMES.get(chunk.type, f"Unknown chunk type: {chunk.type:#x}")
    if chunk.type in (sctp.INIT, sctp.INIT_ACK):
        body = Init.parse(chunk.value)
        streams = f"[OS: {body.outbound_streams}] [MIS: {body.inbound_streams}]"
        return f"{name}] [init tag: {body.tag}] [rwnd: {body.window}] {streams} [init TSN: {body.first_tsn}"
    if chunk.type == sctp.DATA:
        data = Data.parse(chunk)
        pieces = "(B)" * bool(data.flags & sctp.BEGINNING) + "(E)" * bool(data.flags & sctp.ENDING)
        return (
            f"{name}] {pieces} [TSN: {data.tsn}] [SID: {data.stream}] [SSEQ {data.sequence}] [PPID {data.protocol:#x}"
        )
    if chunk.type == sctp.SACK:
        sack = Sack.parse(chunk.value)
        gaps = f"[#gap acks {len(sack.gaps)}] [#dup tsns {len(sack.duplicates)}"
        return f"{name}] [cum ack {sack.cumulative}] [a_rwnd {sack.window}] {gaps}"
    return name


def _icmp(payload: bytes) -> str:
    header, at = Icmp.parse(payload)
    if header.type in (icmp.ECHO_REQUEST, icmp.ECHO_REPLY):
        name = "echo request" if header.type == icmp.ECHO_REQUEST else "echo reply"
        return f"{name}, id {header.identifier}, seq {header.sequence}"
    if header.type == icmp.DESTINATION_UNREACHABLE:
        return _unreachable(header, payload[at:])
    if header.type == icmp.TIME_EXCEEDED:
        return "ip reassembly time exceeded" if header.code else "time exceeded in-transit"
    return f"type-#{header.type}"


def _unreachable(header: Icmp, quoted: bytes) -> str:
    if len(quoted) < 20:
        return f"unreachable code-#{header.code}"
    destination, protocol = format_ipv4(int.from_bytes(quoted[16:20])), quoted[9]
    if header.code == icmp.FRAGMENTATION_NEEDED:
        return f"{destination} unreachable - need to frag (mtu {header.sequence})"
    if header.code == icmp.PORT_UNREACHABLE:
        at = (quoted[0] & 15) * 4
        port = int.from_bytes(quoted[at + 2 : at + 4])
        return f"{destination} {_PORT_PROTOCOLS.get(protocol, 'udp')} port {port} unreachable"
    return _UNREACHABLE.get(header.code, "unreachable code-#{2}").format(destination, protocol, header.code)
