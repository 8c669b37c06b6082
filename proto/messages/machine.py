"""What an operator asks of a machine itself, as over SSH: a shell command, a traced connection, packets to send,
packets to see."""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1
LONGEST_BODY: Final = 1024


class Shell(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Runs a command line on the machine, a login shell for ""; its streams go over `stream.<node>.<session>`.

    With `tty` on a terminal of `columns` by `rows` whose type is `term`. Answer: Accepted.
    """

    session: str
    command: str
    stdin: bool = False
    tty: bool = False
    term: str = ""
    columns: int = 0
    rows: int = 0


type ExchangeKind = Literal["http", "tcp", "udp", "sctp", "icmp"]


class Connect(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One traced exchange from a pod ("" and "" for the machine itself). Answer: Outcome.

    `http` sends a GET and waits for the whole answer, `tcp` and `sctp` only connect, `udp` sends `data` as one datagram
    (from `source_port`, 0: any) and waits for one, `icmp` sends one echo request.
    """

    trace: str
    namespace: str = ""
    pod: str = ""
    kind: ExchangeKind
    address: str
    port: int = 0
    host: str = ""
    path: str = "/"
    timeout: float = 5.0
    data: bytes = b"podwire trace\n"
    source_port: int = 0


class RawPacket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One packet to send as it is: an IP packet through a raw socket with its own header (raw(7)), or an Ethernet frame
    out of a device through a packet socket (packet(7)). With a `trace` its hops are told."""

    data: bytes
    link: Literal["ip", "ethernet"] = "ip"
    trace: str = ""


MOST_PACKETS: Final = 1024
"""Packets in one call at most."""


class Inject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Sends packets from a pod ("" and "" for the machine itself), at once, in order. Answer: Injected.

    `device` is where Ethernet frames leave.
    """

    namespace: str = ""
    pod: str = ""
    device: str = "eth0"
    packets: list[RawPacket]


class Capture(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Sees what passes a machine's devices, until the session ends; it goes over `stream.<node>.<session>` as
    proto/messages/capture.py says. Answer: Accepted, or Refused.

    With `pod` only that pod's namespace is seen (of `devices` those that are named, all of them for none), else the
    machine's own and every pod's. A frame is wanted if one of its IP headers, outer or inner, has one of `hosts` and
    one of its transport headers has one of `ports`; no hosts, or no ports, mean any. `drops` tells packets that die.
    """

    session: str
    namespace: str = ""
    pod: str = ""
    devices: list[str] = []
    hosts: list[str] = []
    ports: list[int] = []
    drops: bool = True


Call = Shell | Connect | Inject | Capture


class MachineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    schema: int = SCHEMA
    call: Call


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The session runs."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a traced exchange came to, in words, and how long it took (nanoseconds); `body` is what the peer said, up
    to LONGEST_BODY bytes."""

    success: bool
    text: str
    duration: int
    body: bytes = b""


def no_answer(timeout: float) -> str:
    """The words of an Outcome whose time (seconds) ran out."""
    return f"no answer within {timeout:g} s"


class Injected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the kernel said to each packet: "" if it took it, else the error of sendto(2)."""

    errors: list[str]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call had no effect."""

    message: str


Answer = Accepted | Outcome | Injected | Refused
