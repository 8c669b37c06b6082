"""The bus as components see it: NATS's core and the part of JetStream that the event log needs.

Two implementations stand behind it, `nats` and `memory`; one contract suite (tests/contract) runs on both. Handlers are
called synchronously, in order per publisher and subject, and must not block.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MAX_PAYLOAD: Final = 8 * 1024 * 1024


class BusError(Exception):
    """Something that the bus refused or could not do."""


class NoResponders(BusError):
    """Nobody listens on the subject of a request."""


class RequestTimeout(BusError):
    """No answer in time: the request may or may not have been acted on."""


class Disconnected(BusError):
    """The connection is away; what was published is lost."""


class PayloadTooLarge(BusError):
    """More bytes than one message may carry."""


class WrongLastSequence(BusError):
    """A compare-and-append whose expectation did not hold."""

    def __init__(self, subject: str, expected: int) -> None:
        super().__init__(f"{subject}: the last sequence is not {expected}")


class StreamUnavailable(BusError):
    """The stream does not exist or JetStream does not answer."""


class Message(NamedTuple):
    """What a handler gets; `reply` is "" when nobody waits for an answer."""

    subject: str
    payload: bytes
    reply: str


class Stored(NamedTuple):
    """One message of the stream."""

    sequence: int
    subject: str
    payload: bytes


class Delivery(NamedTuple):
    """A stored message as one consumer gets it: its place in the consumer's own count shows gaps."""

    stored: Stored
    consumer_sequence: int


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream's identity (`birth`) and bounds; `last` is 0 while it is empty."""

    birth: str
    first: int
    last: int


Handler = Callable[[Message], None]


class Subscription(Protocol):
    """A running subscription."""

    @property
    def waiting(self) -> int:
        """Messages that are here, and that the handler was not called with yet."""
        ...

    def close(self) -> None:
        """No call of the handler follows."""
        ...


class Consumer(Protocol):
    """A push consumer: `pending` messages were waiting when it was made."""

    pending: int

    def close(self) -> None:
        """No call of a handler follows; the server forgets the consumer."""
        ...


class Bus(Protocol):
    """One process's connection."""

    name: str

    @property
    def connected(self) -> bool:
        """Whether messages get through just now."""
        ...

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Sends and forgets. Raises PayloadTooLarge; a message without permission or connection is lost and counted."""
        ...

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:
        """Asks one responder. Raises NoResponders, RequestTimeout, Disconnected, PayloadTooLarge."""
        ...

    def subscribe(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Calls the handler for each message; members of one queue group share them."""
        ...

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        """Calls the listener with False when the connection is lost and True when it is back."""
        ...

    async def flush(self) -> None:
        """Returns once the server has taken everything published and subscribed before."""
        ...

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        """Appends to the stream if the subject's last sequence is `expected` (0: none; None: any).

        Raises WrongLastSequence, RequestTimeout, Disconnected, StreamUnavailable, PayloadTooLarge.
        """
        ...

    async def last(self, subject: str, timeout: float) -> Stored | None:
        """The newest message of a subject."""
        ...

    async def stream_state(self, timeout: float) -> StreamState:
        """Identity and bounds of the stream."""
        ...

    async def consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> Consumer:
        """An ephemeral push consumer from sequence `start` on (None: the newest of each subject, then new ones).

        `on_heartbeat` gets the last consumer sequence that the server has sent, at least every HEARTBEAT_INTERVAL.
        """
        ...

    async def purge(self, subject: str, before: int, timeout: float) -> int:
        """Removes the subject's messages with a sequence below `before`; returns how many."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


HEARTBEAT_INTERVAL: Final = 0.5
"""Seconds between a push consumer's heartbeats; silence of twice that means that the consumer is gone."""
