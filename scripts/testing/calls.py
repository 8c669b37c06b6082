"""What a test asks of its cluster, which is a process of its own, and what it is told: length-prefixed MessagePack."""

import socket
from typing import Any, Final

import msgspec

_LENGTH: Final = 4

Json = dict[str, Any]


class ClusterError(Exception):
    """What the cluster refused or could not do, in a line."""


class Apply(msgspec.Struct, frozen=True, tag=True):
    """Server-side apply of a YAML text; with `wait` until nothing changes any more and every pod is Ready."""

    text: str
    namespace: str
    wait: bool


class Delete(msgspec.Struct, frozen=True, tag=True):
    """Deletes an object, as `kubectl delete TYPE NAME` does."""

    kind: str
    name: str
    namespace: str


class Get(msgspec.Struct, frozen=True, tag=True):
    """Objects of a kind, or one (`name`), now or (`at`) at a revision."""

    kind: str
    name: str
    namespace: str
    at: int = 0


class Listing(msgspec.Struct, frozen=True, tag=True):
    """What `kubectl get` prints, at a revision (0: now)."""

    arguments: list[str]
    namespace: str
    output: str
    at: int = 0


class Exec(msgspec.Struct, frozen=True, tag=True):
    """A program in a pod's first container; or (`node`) a command line on a machine."""

    command: list[str]
    pod: str = ""
    namespace: str = ""
    node: str = ""


class Exchange(msgspec.Struct, frozen=True, tag=True):
    """One traced exchange, as `podwire trace` makes it; `timeout` is virtual seconds."""

    source: str
    destination: str
    port: int
    protocol: str
    namespace: str
    via: str
    timeout: float


class Chaos(msgspec.Struct, frozen=True, tag=True):
    """kill, pause, resume, power-off, power-on, link, skew or heal; `impairment` is of a link's both or one way."""

    verb: str
    target: str = ""
    other: str = ""
    impairment: Json = {}
    one_way: bool = False
    seconds: float = 0.0


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Virtual seconds pass; or (None) as many as it takes until nothing changes any more."""

    seconds: float | None = None


class Listen(msgspec.Struct, frozen=True, tag=True):
    """From now on forks of this cluster are to be had at a socket's path."""

    path: str


Call = Apply | Delete | Get | Listing | Exec | Exchange | Chaos | Wait | Listen


class Told(msgspec.Struct, frozen=True):
    """The answer: a value, or what went wrong; the virtual time (seconds since the boot) and the last revision; what
    components have logged as errors since the answer before."""

    value: Any = None
    error: str = ""
    now: float = 0.0
    revision: int = 0
    logged: list[str] = []


class Outcome(msgspec.Struct, frozen=True):
    """What came of an exchange."""

    source: str
    destination: str
    verdict: str
    """`reached`, `refused` (or unreachable) or `no answer`."""
    reason: str
    cause: str
    """In a line, what decided: the rule that dropped it, or how far it came."""
    trace: str
    """The way of its packets, as `podwire trace` prints it."""
    milliseconds: float
    hops: list[Json]
    """The same for machines."""


def send(connection: socket.socket, message: msgspec.Struct) -> None:
    """Sends a message whole."""
    payload = msgspec.msgpack.encode(message)
    connection.sendall(len(payload).to_bytes(_LENGTH, "big") + payload)


def receive(connection: socket.socket, kind: Any) -> Any:
    """The next message; None when the other side is gone."""
    head = _exactly(connection, _LENGTH)
    payload = _exactly(connection, int.from_bytes(head, "big")) if head else b""
    return msgspec.msgpack.decode(payload, type=kind) if payload else None


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            return b""
        received += chunk
    return bytes(received)
