"""What every socket has, and how it tells its owner that something happened."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Final

from podwire.proto.packet.addresses import IPV6, format_address, parse_address
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.internet import build_packet
from podwire.proto.packet.ipv4 import DONT_FRAGMENT
from podwire.services.node.kernel.errors import KernelError

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

type Endpoint = tuple[str, int]
"""An address of either family, as text, and a port."""

ANY: Final = 0
ANY6: Final = IPV6
"""`::`, which takes IPv4 as well (net.ipv6.bindv6only=0)."""
RECEIVE_BUFFER: Final = 212992
"""Bytes that wait to be read at most (net.core.rmem_default)."""


def atomic[S: "Socket", **P, R](
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Make a method one turn: what it sends travels after it is done, so that answers find its state settled."""

    def inside_turn(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.namespace.kernel.turn():
            return method(self, *args, **kwargs)

    inside_turn.__doc__ = method.__doc__
    return inside_turn


class Socket:
    """An endpoint in a namespace. `on_ready` is called when reading, writing or the error changed."""

    def __init__(self, namespace: "Namespace", trace: str = "") -> None:
        self.namespace = namespace
        self.trace = trace
        self.on_ready: Callable[[], None] | None = None
        self.local: tuple[int, int] = (ANY, 0)
        self.remote: tuple[int, int] | None = None
        self.error: int = 0
        self.closed = False
        self.user = self.group = 0
        """Whose process it is of, for `-m owner`."""
        self.transparent = False
        """IP_TRANSPARENT: it may have addresses that are not of this host, and take what TPROXY diverts."""
        self.keeps_alive = False
        """SO_KEEPALIVE of a listener, for what it accepts."""

    def inherit(self, listener: "Socket") -> None:
        """An accepted connection is of the process that listened."""
        self.user, self.group, self.transparent = listener.user, listener.group, listener.transparent

    @property
    def local_endpoint(self) -> Endpoint:
        """Where it is bound."""
        return format_address(self.local[0]), self.local[1]

    @property
    def remote_endpoint(self) -> Endpoint | None:
        """What it is connected to."""
        return None if self.remote is None else (format_address(self.remote[0]), self.remote[1])

    def ready(self) -> None:
        """Tell the owner."""
        if self.on_ready is not None:
            self.on_ready()

    def fail(self, number: int) -> None:
        """Have the next call raise an error."""
        self.error = number
        self.ready()

    def raise_error(self) -> None:
        """Raise the pending error, once."""
        number, self.error = self.error, 0
        if number:
            raise KernelError(number)

    def check_open(self) -> None:
        """Refuse a closed socket."""
        if self.closed:
            raise KernelError(errno.EBADF)

    def transmit(
        self, source: int, destination: int, protocol: int, payload: bytes, *, ttl: int = 0, probe: bool = False
    ) -> None:
        """Send one IP packet with this socket's trace; a probe is never cut, whatever is known of the path."""
        namespace = self.namespace
        mtu = namespace.sockets.mtu_to(destination)
        data = build_packet(
            source,
            destination,
            protocol,
            payload,
            ttl=ttl or int(namespace.sysctls["net.ipv4.ip_default_ttl"]),
            identification=namespace.next_identification(),
            fragment=DONT_FRAGMENT if probe or len(payload) + 20 <= mtu else 0,
        )
        namespace.kernel.send_made(namespace, data, self.trace, self)


def accepts(local: int, address: int) -> bool:
    """Whether a socket bound to `local` gets what is sent to `address`."""
    return local in (address, ANY6) or (local == ANY and address <= 0xFFFFFFFF)


def overlap(one: int, other: int) -> bool:
    """Whether two sockets of one port would get the same packets."""
    return accepts(one, other) or accepts(other, one)


def headers_length(address: int) -> int:
    """Bytes of IP and TCP headers towards an address: what the MSS is smaller than the MTU by."""
    return 60 if address > 0xFFFFFFFF else 40


def parse_endpoint(endpoint: Endpoint) -> tuple[int, int]:
    """Numbers of an endpoint; KernelError EINVAL if it is none."""
    try:
        address = parse_address(endpoint[0] or "0.0.0.0")
    except PacketError as error:
        raise KernelError(errno.EINVAL, error.reason) from None
    if not 0 <= endpoint[1] <= 65535:
        raise KernelError(errno.EINVAL, f"port {endpoint[1]}")
    return address, endpoint[1]
