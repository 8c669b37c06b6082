"""States of connections as IPVS sees them, with timeouts (ip_vs_proto_tcp.c, ip_vs_proto_udp.c, ip_vs_proto_sctp.c)."""

from typing import Final

from podwire.proto.packet import sctp
from podwire.proto.packet.ipv4 import SCTP, TCP, UDP
from podwire.proto.packet.tcp import ACK, FIN, RST, SYN
from podwire.services.node.kernel.packet import Packet

INPUT, OUTPUT = 0, 1
_TCP: Final = {
    "NO": "NONE",
    "ES": "ESTABLISHED",
    "SS": "SYN_SENT",
    "SR": "SYN_RECV",
    "FW": "FIN_WAIT",
    "TW": "TIME_WAIT",
    "CL": "CLOSE",
    "CW": "CLOSE_WAIT",
    "LA": "LAST_ACK",
    "LI": "LISTEN",
    "SA": "SYNACK",
}
_SCTP: Final = {
    "NO": "NONE",
    "I1": "INIT1",
    "IN": "INIT",
    "CS": "C-SENT",
    "CR": "C-REPLIED",
    "CW": "C-WAIT",
    "CO": "COOKIE",
    "CE": "C-ECHOED",
    "ES": "ESTABLISHED",
    "SS": "S-SENT",
    "SR": "S-RECEIVED",
    "SA": "S-ACK-SENT",
    "RJ": "REJECTED",
    "CL": "CLOSED",
}
_TCP_TABLE: Final = """
syn  SR ES ES SR SR SR SR SR SR SR SR
fin  CL CW SS TW TW TW CL CW LA LI TW
ack  CL ES SS ES FW TW CL CW CL LI ES
rst  CL CL CL SR CL CL CL CL LA LI SR
syn  SS ES SS SR SS SS SS SS SS LI SR
fin  TW FW SS TW FW TW CL TW LA LI TW
ack  ES ES SS ES FW TW CL CW LA ES ES
rst  CL CL SS CL CL TW CL CL CL CL CL
"""
_SCTP_TABLE: Final = """
data     ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
init     I1 IN IN CS CR CW CO CE ES SS SR SA IN IN
initack  CW CW CW CS CR CO CO CE ES SS SR SA RJ CL
echo     CR IN IN CR CR CW CO CE ES SS SR SA RJ CL
cookack  ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL
shutdown SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
shutack  CL IN IN CS CR CW CO CE ES CL SR CL RJ CL
shutcomp CL CL CL CS CR CW CO CE ES SS SR CL RJ CL
error    CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL
abort    CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
data     ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
init     CW CW CW CW CW CW CW CW ES CW CW CW CW CW
initack  CS CS CS CS CR CW CO CE ES SS SR SA RJ CL
echo     CE CE CE CE CE CE CE CE ES SS SR SA RJ CL
cookack  ES ES ES ES ES ES ES ES ES SS SR SA RJ CL
shutdown SS SS SS SS SS SS SS SS SS SS SR SA RJ CL
shutack  SA SA SA SA SA CW CO CE ES SA SA SA RJ CL
shutcomp CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
error    CL CL CL CL CL CW CO CE ES SS SR SA RJ CL
abort    CL RJ CL CL CL CL CL CL CL CL CL CL CL CL
"""
_CHUNKS: Final = {
    sctp.INIT: "init",
    sctp.INIT_ACK: "initack",
    sctp.COOKIE_ECHO: "echo",
    sctp.COOKIE_ACK: "cookack",
    sctp.SHUTDOWN: "shutdown",
    sctp.SHUTDOWN_ACK: "shutack",
    sctp.SHUTDOWN_COMPLETE: "shutcomp",
    sctp.ERROR: "error",
    sctp.ABORT: "abort",
}


def _read(table: str, names: dict[str, str]) -> dict[tuple[int, str, str], str]:
    lines = table.strip().splitlines()
    transitions = {}
    for number, line in enumerate(lines):
        kind, *outcomes = line.split()
        for short, outcome in zip(names, outcomes, strict=True):
            transitions[number * 2 // len(lines), kind, names[short]] = names[outcome]
    return transitions


TCP_TRANSITIONS: Final = _read(_TCP_TABLE, _TCP)
SCTP_TRANSITIONS: Final = _read(_SCTP_TABLE, _SCTP)
"""(direction, kind of packet, state) → next state."""

TIMEOUTS: Final = {
    TCP: dict(zip(_TCP.values(), (2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120), strict=True)),
    UDP: {"UDP": 300},
    SCTP: dict(zip(_SCTP.values(), (2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61), strict=True)),
}
"""Protocol → state → seconds."""


def begins(packet: Packet, *, sloppy_tcp: bool, sloppy_sctp: bool) -> bool:
    """Whether a packet may begin a connection (tcp_conn_schedule and its kin)."""
    if packet.protocol == TCP:
        return sloppy_tcp or bool(packet.tcp_flags & SYN)
    if packet.protocol == SCTP:
        return sloppy_sctp or _first_chunk(packet) == sctp.INIT
    return packet.protocol == UDP


def is_new(packet: Packet) -> bool:
    """Whether a packet of a known connection looks like the first of another (is_new_conn)."""
    if packet.protocol == TCP:
        return packet.tcp_flags & (SYN | ACK | RST | FIN) == SYN
    return packet.protocol == SCTP and _first_chunk(packet) == sctp.INIT


def _first_chunk(packet: Packet) -> int:
    payload = packet.payload
    return payload[sctp.HEADER_LENGTH] if len(payload) >= sctp.HEADER_LENGTH + sctp.CHUNK_HEADER else -1


def _chunk_kind(packet: Packet) -> str:
    """The first chunk decides, unless an ABORT follows a cookie."""
    payload, first = packet.payload, _first_chunk(packet)
    if first in (sctp.COOKIE_ECHO, sctp.COOKIE_ACK):
        length = int.from_bytes(payload[sctp.HEADER_LENGTH + 2 : sctp.HEADER_LENGTH + 4])
        after = sctp.HEADER_LENGTH + length + -length % 4
        if length >= sctp.CHUNK_HEADER and len(payload) > after and payload[after] == sctp.ABORT:
            first = sctp.ABORT
    return _CHUNKS.get(first, "data")


def next_state(packet: Packet, state: str, direction: int) -> str:
    """The state after a packet."""
    if packet.protocol == TCP:
        flags = packet.tcp_flags
        kind = (
            "rst" if flags & RST else "syn" if flags & SYN else "fin" if flags & FIN else "ack" if flags & ACK else ""
        )
        return TCP_TRANSITIONS[direction, kind, state] if kind else "CLOSE"
    if packet.protocol == SCTP:
        return SCTP_TRANSITIONS[direction, _chunk_kind(packet), state]
    return "UDP"
