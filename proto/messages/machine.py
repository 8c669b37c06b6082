"""What an operator asks of a machine itself, as over SSH: a shell command, a traced connection."""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1


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


class Connect(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One traced exchange from a pod ("" and "" for the machine itself). Answer: Outcome.

    `http` sends a GET and waits for the whole answer, `tcp` only connects, `udp` sends one datagram, `icmp` one echo
    request.
    """

    trace: str
    namespace: str = ""
    pod: str = ""
    kind: Literal["http", "tcp", "udp", "icmp"]
    address: str
    port: int = 0
    host: str = ""
    path: str = "/"
    timeout: float = 5.0


Call = Shell | Connect


class MachineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    schema: int = SCHEMA
    call: Call


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The session runs."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a traced exchange came to, in words, and how long it took (nanoseconds)."""

    success: bool
    text: str
    duration: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The call had no effect."""

    message: str


Answer = Accepted | Outcome | Refused
