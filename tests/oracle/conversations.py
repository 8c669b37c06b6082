"""Scripted TCP segments against a real socket, in the manner of packetdrill: in both worlds, compared step by step.

A peer made of raw segments (10.1.0.2, port 5555) talks to a socket of the host `server` (10.1.0.1, port 80). Sequence
numbers are relative: the peer's begin at 0 with its SYN, the socket's at 0 with its own.
"""

import errno
import select
import socket
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.oracle.worlds import LinuxWorld, PodwireWorld

from podwire.proto.messages import kernel as m
from podwire.proto.packet.addresses import parse_address, parse_mac
from podwire.proto.packet.ipv4 import IPv4, build_packet
from podwire.proto.packet.tcp import ACK, FIN, PSH, RST, SYN, URG, Tcp, build_segment
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket

PEER, HOST = parse_address("10.1.0.2"), parse_address("10.1.0.1")
PEER_MAC, HOST_MAC = "02:00:00:00:01:02", "02:00:00:00:01:01"
PEER_ISN: Final = 7_000_000
IP_TRANSPARENT, SO_ORIGINAL_DST = 19, 80
"""include/uapi/linux/in.h, include/uapi/linux/netfilter_ipv4.h."""
FLAGS: Final = {"F": FIN, "S": SYN, "R": RST, "P": PSH, ".": ACK, "U": URG}
POINTS: Final = [("far", "eth0")]
TOPOLOGY: Final = [
    m.NetnsAdd(netns="server"),
    m.NetnsAdd(netns="far"),
    m.LinkSet(netns="server", name="lo", up=True),
    m.LinkAdd(
        netns="server",
        kind="veth",
        name="eth0",
        address=HOST_MAC,
        peer="eth0",
        peer_netns="far",
        peer_address=PEER_MAC,
        up=True,
    ),
    m.LinkSet(netns="far", name="eth0", up=True),
    m.AddressAdd(netns="server", device="eth0", address="10.1.0.1/24"),
    m.NeighbourReplace(netns="server", device="eth0", address="10.1.0.2", mac=PEER_MAC),
]


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment says: its flags, relative numbers, and how many bytes it carries."""

    flags: str
    sequence: int
    acknowledgement: int
    length: int

    def __str__(self) -> str:
        ack = f" ack {self.acknowledgement}" if "." in self.flags else ""
        return f"{self.flags} {self.sequence}:{self.sequence + self.length}({self.length}){ack}"


class Host(Protocol):
    """The socket's side."""

    def listen(self, backlog: int, *, transparent: bool) -> None:
        """Listen on port 80."""

    def accept(self) -> bool:
        """Take a connection, if there is one."""

    def write(self, count: int) -> str:
        """Write bytes: how many were taken, or the error's name."""

    def read(self) -> str:
        """How many bytes wait, `end`, `nothing`, or the error's name."""

    def original(self) -> str:
        """The connection's SO_ORIGINAL_DST, or the error's name."""

    def shutdown(self) -> None:
        """Say that nothing more will be written."""

    def close(self) -> None:
        """Close the connection."""


class PodwireHost:
    """A socket of podwire's kernel."""

    def __init__(self, world: PodwireWorld) -> None:
        self._sockets = world.kernel.namespace("server").sockets
        self._listener: TcpListener | None = None
        self._connection: TcpSocket | None = None

    def listen(self, backlog: int, *, transparent: bool) -> None:
        self._listener = self._sockets.listen_tcp(("0.0.0.0", 80), backlog, transparent=transparent)

    def accept(self) -> bool:
        assert self._listener is not None
        self._connection = self._listener.accept()
        return self._connection is not None

    def write(self, count: int) -> str:
        assert self._connection is not None
        try:
            return str(self._connection.send(bytes(count)))
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def read(self) -> str:
        assert self._connection is not None
        try:
            data = self._connection.receive(1 << 20)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "nothing" if data is None else str(len(data)) if data else "end"

    def original(self) -> str:
        assert self._connection is not None
        try:
            address, port = self._sockets.original_destination(self._connection)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return f"{address}:{port}"

    def shutdown(self) -> None:
        assert self._connection is not None
        self._connection.shutdown()

    def close(self) -> None:
        assert self._connection is not None
        self._connection.close()


class LinuxHost:
    """A socket of this machine's kernel, in the namespace."""

    def __init__(self, world: LinuxWorld) -> None:
        self._world = world
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None

    def listen(self, backlog: int, *, transparent: bool) -> None:
        with self._world.inside("server"):
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._world.run("server", ["ip", "route", "change", "10.1.0.0/24", "dev", "eth0", "quickack", "1"])
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if transparent:
            self._listener.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        self._listener.bind(("0.0.0.0", 80))
        self._listener.listen(backlog)
        self._listener.setblocking(False)

    def accept(self) -> bool:
        assert self._listener is not None
        try:
            self._connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        self._connection.setblocking(False)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True

    def write(self, count: int) -> str:
        assert self._connection is not None
        try:
            return str(self._connection.send(bytes(count), socket.MSG_NOSIGNAL))
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def read(self) -> str:
        assert self._connection is not None
        select.select([self._connection], [], [], 0)
        try:
            data = self._connection.recv(1 << 20)
        except BlockingIOError:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return str(len(data)) if data else "end"

    def original(self) -> str:
        assert self._connection is not None
        try:
            name = self._connection.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return f"{socket.inet_ntoa(name[4:8])}:{int.from_bytes(name[2:4])}"

    def shutdown(self) -> None:
        assert self._connection is not None
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        assert self._connection is not None
        self._connection.close()

    def release(self) -> None:
        """Give the descriptors back, without a word on the wire that anybody listens to."""
        for each in (self._listener, self._connection):
            if each is not None:
                each.close()


class Conversation:
    """One world's run of a script: everything that was seen, step by step."""

    def __init__(self, world: PodwireWorld | LinuxWorld, host: Host) -> None:
        self._world = world
        self._host = host
        self._isn: int | None = None
        self.seen: list[str] = []

    def play(self, script: list[str]) -> list[str]:
        """Run every line; what each brought forth."""
        for line in script:
            heard = self._step(line)
            self.seen.append(f"{line:<32} -> {', '.join(heard) or '-'}")
        return self.seen

    def _step(self, line: str) -> list[str]:
        words = line.split()
        if words[0] == "<":
            return self._heard(self._world.send("far", "eth0", self._segment(words[1:])))
        answer: Any = {
            "listen": lambda: self._host.listen(
                int(words[1]) if len(words) > 1 else 8, transparent="transparent" in words
            ),
            "original": self._host.original,
            "accept": self._host.accept,
            "write": lambda: self._host.write(int(words[1])),
            "read": self._host.read,
            "shutdown": self._host.shutdown,
            "close": self._host.close,
        }[words[0]]()
        said = [] if answer is None else [str(answer)]
        return said + self._heard(self._world.collect())

    def _segment(self, words: list[str]) -> bytes:
        """`FLAGS SEQ[+LENGTH] [ack N] [win N] [mss N]` as a frame."""
        flags = sum(FLAGS[letter] for letter in words[0])
        start, _, length = words[1].partition("+")
        options = dict(zip(words[2::2], words[3::2], strict=True))
        acknowledged = (self._isn or 0) + int(options.get("ack", "0")) if "ack" in options else 0
        header = Tcp(
            5555,
            int(options.get("port", "80")),
            (PEER_ISN + int(start)) & 0xFFFFFFFF,
            acknowledged & 0xFFFFFFFF,
            flags,
            int(options.get("win", "65535")),
            maximum_segment_size=int(options["mss"]) if "mss" in options else None,
        )
        data = build_segment(PEER, HOST, header, bytes(int(length or 0)))
        packet = build_packet(PEER, HOST, 6, data, identification=0x1234, fragment=0x4000)
        return parse_mac(HOST_MAC) + parse_mac(PEER_MAC) + b"\x08\x00" + packet

    def _heard(self, arrivals: list[Any]) -> list[str]:
        frames = [each.frame[14:] for each in arrivals if each.frame[12:14] == b"\x08\x00" and each.frame[23] == 6]
        return [str(self._read(packet)) for packet in frames]

    def _read(self, packet: bytes) -> Segment:
        ip, at = IPv4.parse(packet)
        header, data_at = Tcp.parse(packet[at : ip.total_length])
        if header.flags & SYN:
            self._isn = header.sequence
        letters = "".join(letter for letter, bit in FLAGS.items() if header.flags & bit and letter != "P")
        base = self._isn if self._isn is not None and not header.flags & RST else header.sequence
        if header.flags & RST and self._isn is not None and header.sequence:
            base = self._isn
        sequence = (header.sequence - base) & 0xFFFFFFFF
        acknowledged = (header.acknowledgement - PEER_ISN) & 0xFFFFFFFF if header.flags & ACK else 0
        return Segment(letters, sequence, acknowledged, ip.total_length - at - data_at)


__all__ = ["POINTS", "TOPOLOGY", "Conversation", "LinuxHost", "PodwireHost"]
