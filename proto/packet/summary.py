"""One line that says what a frame is, in the manner of `tcpdump -n`."""

from typing import Final

from podwire.proto.packet import arp, icmp, tcp
from podwire.proto.packet.addresses import format_ipv4, format_mac
from podwire.proto.packet.arp import Arp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_ARP, TYPE_IPV4, Ethernet
from podwire.proto.packet.icmp import Icmp
from podwire.proto.packet.ipv4 import ICMP, OFFSET_MASK, TCP, UDP, IPv4
from podwire.proto.packet.tcp import Tcp
from podwire.proto.packet.udp import Udp
from podwire.proto.packet.vxlan import LINUX_PORT, Vxlan

_FLAG_LETTERS: Final = (
    (tcp.FIN, "F"),
    (tcp.SYN, "S"),
    (tcp.RST, "R"),
    (tcp.PSH, "P"),
    (tcp.URG, "U"),
    (tcp.ACK, "."),
)
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
    if header.ethertype == TYPE_IPV4:
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
    """One line for an IPv4 packet."""
    octets = bytes(packet)
    try:
        header, at = IPv4.parse(octets)
        return "IP " + _transport(header, octets[at : header.total_length])
    except PacketError as error:
        return f"IP [{error.reason}]"


def _transport(header: IPv4, payload: bytes) -> str:
    source, destination = format_ipv4(header.source), format_ipv4(header.destination)
    if header.fragment & OFFSET_MASK:
        return f"{source} > {destination}: ip-proto-{header.protocol}, fragment, length {len(payload)}"
    if header.protocol == TCP:
        return _tcp(source, destination, payload)
    if header.protocol == UDP:
        return _udp(source, destination, payload)
    if header.protocol == ICMP:
        return f"{source} > {destination}: ICMP {_icmp(payload)}, length {len(payload)}"
    return f"{source} > {destination}: ip-proto-{header.protocol} {len(payload)}"


def _tcp(source: str, destination: str, payload: bytes) -> str:
    header, at = Tcp.parse(payload)
    length = len(payload) - at
    letters = "".join(letter for bit, letter in _FLAG_LETTERS if header.flags & bit) or "none"
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
        return f"{destination} {'tcp' if protocol == TCP else 'udp'} port {port} unreachable"
    return _UNREACHABLE.get(header.code, "unreachable code-#{2}").format(destination, protocol, header.code)
