"""ICMP echo sockets, what `ping` uses (icmp(7))."""

import errno
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import format_address, is_ipv6, parse_address
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.icmp import ECHO_REQUEST, Icmp
from podwire.proto.packet.icmpv6 import ECHO_REQUEST as ECHO_REQUEST6
from podwire.proto.packet.icmpv6 import build_message
from podwire.proto.packet.ipv4 import ICMP
from podwire.proto.packet.ipv6 import ICMPV6
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import Socket, atomic

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

QUEUE_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class Echo:
    """An answer: an echo reply, or an ICMP error (`type` and `code` say which, `source` who sent it)."""

    sequence: int
    source: str
    ttl: int
    type: int
    code: int
    payload: bytes
    received: int


class PingSocket(Socket):
    """Sends echo requests under one identifier; answers wait in a bounded queue."""

    def __init__(self, namespace: "Namespace", trace: str = "") -> None:
        super().__init__(namespace, trace)
        self.identifier = self._free_identifier()
        namespace.sockets.pings[self.identifier] = self
        self._queue: deque[Echo] = deque(maxlen=QUEUE_LIMIT)

    def _free_identifier(self) -> int:
        taken = self.namespace.sockets.pings
        start = self.namespace.kernel.random.getrandbits(16)
        for step in range(65536):
            if (start + step) & 0xFFFF not in taken:
                return (start + step) & 0xFFFF
        raise KernelError(errno.EAGAIN)

    @atomic
    def send_echo(self, address: str, sequence: int, payload: bytes = bytes(56), *, ttl: int = 0) -> None:
        """Send one echo request; KernelError EINVAL, ENETUNREACH, EMSGSIZE."""
        self.check_open()
        try:
            destination = parse_address(address)
        except PacketError as error:
            raise KernelError(errno.EINVAL, error.reason) from None
        if len(payload) > 65507:
            raise KernelError(errno.EMSGSIZE)
        source = self.namespace.sockets.source_for(destination)
        rest = self.identifier << 16 | (sequence & 0xFFFF)
        if is_ipv6(destination):
            message = build_message(source, destination, Icmp(ECHO_REQUEST6, 0, rest), payload)
            return self.transmit(source, destination, ICMPV6, message, ttl=ttl)
        message = Icmp(ECHO_REQUEST, 0, rest).build(payload)
        return self.transmit(source, destination, ICMP, message, ttl=ttl)

    def receive(self) -> Echo | None:
        """The oldest answer, None if there is none."""
        return self._queue.popleft() if self._queue else None

    def reply_arrived(self, packet: Packet, header: Icmp, payload: bytes) -> None:
        """Queue an echo reply."""
        self._arrived(packet, header, header.sequence, payload)

    def error_arrived(self, packet: Packet, header: Icmp, sequence: int) -> None:
        """Queue an ICMP error about one of our requests."""
        self._arrived(packet, header, sequence, b"")

    def _arrived(self, packet: Packet, header: Icmp, sequence: int, payload: bytes) -> None:
        now = self.namespace.kernel.now
        source = format_address(packet.source)
        self._queue.append(Echo(sequence, source, packet.ttl, header.type, header.code, payload, now))
        self.ready()

    def close(self) -> None:
        """Give the identifier back."""
        if not self.closed:
            self.closed = True
            self.namespace.sockets.pings.pop(self.identifier, None)
