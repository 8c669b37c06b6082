"""Offers and claims of containers, and how a claimed process and its machine talk.

The kubelet creates a container on the machine, then offers it under an id that is never used again. The process that
takes the offer listens for signals first, accepts, and serves nothing until the machine tells it to start. An offer
that was withdrawn is never started, so a late acceptance has no effect.
"""

from typing import Final

import msgspec

from podwire.proto.messages.runtime import ContainerConfig

SCHEMA: Final = 1

START_WITHIN: Final = 3.0
"""Seconds that a process waits for the start of what it accepted before it exits."""
ATTACH_WITHIN: Final = 5.0
"""Seconds after a reconnect of the machine's bus within which claimed processes attach again."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A container looks for a process."""

    schema: int = SCHEMA
    image: str
    node: str
    boot_id: str
    container: str
    pod: str


class Booted(msgspec.Struct, frozen=True, kw_only=True):
    """A machine has booted: the containers of its earlier boots are gone."""

    schema: int = SCHEMA
    boot_id: str


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A process takes it."""

    schema: int = SCHEMA
    container: str
    instance: str
    connection: str
    """The name of the process's bus connection, by which its end is known."""


# Signals: from the machine to the claimed process.


class Start(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Serve this container from now on."""

    config: ContainerConfig
    hostname: str
    address: str
    node_address: str
    pod: str
    namespace: str


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """SIGTERM."""


class WhoServes(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The machine's bus was away: attach again, or be taken for dead."""


class Datagram(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A UDP datagram on a bound socket."""

    socket: int
    address: str
    port: int
    data: bytes


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A connection on a listening socket; `original_…` is where the peer meant to go (SO_ORIGINAL_DST)."""

    listener: int
    socket: int
    address: str
    port: int
    original_address: str = ""
    original_port: int = 0


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The handshake of a connection that the process asked for is done."""

    socket: int


class Received(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bytes of a stream at an offset; no bytes at the end of the stream."""

    socket: int
    offset: int
    data: bytes


class Reset(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A connection is gone, or never came to be; `errno` is the error's name."""

    socket: int
    error: str
    errno: str = "ECONNRESET"


Signal = Start | Stop | WhoServes | Datagram | Accepted | Connected | Received | Reset


# Calls: from the claimed process to its machine; each is answered.


class Attach(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Still here."""


class BindUdp(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A UDP socket on a port of the container's network namespace. Answer: Opened."""

    port: int


class ListenTcp(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A listening socket, with IP_TRANSPARENT for what TPROXY diverts. Answer: Opened."""

    port: int
    transparent: bool = False


class ConnectTcp(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A connection under a negative number that the process chose, so that asking twice opens one.

    Answer: Opened; then Connected or Reset is signalled.
    """

    socket: int
    address: str
    port: int


class SendDatagram(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Sends from a bound socket."""

    socket: int
    address: str
    port: int
    data: bytes


class Send(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bytes for a stream at an offset; no bytes close our side. Answered when the machine took them."""

    socket: int
    offset: int
    data: bytes


class CloseSocket(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Closes a socket (a connection is reset if bytes are outstanding)."""

    socket: int


class ReadFile(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A file as the container sees it. Answer: FileContent."""

    path: str


class WriteFile(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Writes a file as the container sees it; through a hostPath mount that is a file of the machine."""

    path: str
    data: bytes


class Log(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Lines of output."""

    stream: str
    lines: list[str]


class Exit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The container's main process ends."""

    code: int
    message: str = ""


Request = (
    Attach | BindUdp | ListenTcp | ConnectTcp | SendDatagram | Send | CloseSocket | ReadFile | WriteFile | Log | Exit
)


class ContainerCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call, with who calls and for which boot: anything else than the present claim is answered Gone. The same
    `number` (not 0) is the same call, asked again: it is answered as it was."""

    schema: int = SCHEMA
    instance: str
    boot_id: str
    request: Request
    number: int = 0


class ContainerSignal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal, with the boot that it belongs to and its place in order."""

    schema: int = SCHEMA
    boot_id: str
    sequence: int
    signal: Signal


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Done."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A socket's number."""

    socket: int


class FileContent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A file's bytes, or that there is none."""

    found: bool
    data: bytes = b""


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The claim has ended: exit at once."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An errno name and its message."""

    errno: str
    message: str


Reply = Taken | Opened | FileContent | Gone | Refused
