"""Requests and answers larger than one message: split into pieces, joined before anybody acts on them.

A payload that fits goes as one message behind a zero byte. A larger one goes as numbered pieces of one transfer, each
acknowledged, the last by the answer; the receiver acts on the whole or not at all. An answer that does not fit is
fetched piece by piece from the responder, which forgets it when the last piece is taken or after a time.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from podwire.proto.messages import codec
from podwire.services.chassis.bus import base
from podwire.services.chassis.tasks import OrderedTaskGroup

PIECE: Final = 4 * 1024 * 1024
_WHOLE: Final = b"\0"
_PART: Final = b"\1"
_OPEN_TRANSFERS: Final = 64
_LARGEST: Final = 256 * 1024 * 1024

AsyncHandler = Callable[[base.Message], Awaitable[bytes]]


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """Piece `index` of `count` of a transfer; with `fetch`, a request for that piece of the answer."""

    transfer: str
    index: int
    count: int
    data: bytes = b""
    fetch: bool = False


def _part(piece: _Piece) -> bytes:
    return _PART + codec.encode(piece)


async def request(bus: base.Bus, subject: str, payload: bytes, timeout: float) -> bytes:
    """Asks one responder with a payload of any size; raises as Bus.request does."""
    if len(payload) <= PIECE:
        answer = await bus.request(subject, _WHOLE + payload, timeout)
    else:
        answer = await _send_pieces(bus, subject, payload, timeout)
    return await _join_answer(bus, subject, answer, timeout)


async def _send_pieces(bus: base.Bus, subject: str, payload: bytes, timeout: float) -> bytes:
    transfer = f"{bus.name}:{_next_transfer(bus)}"
    count = -(-len(payload) // PIECE)
    answer = b""
    for index in range(count):
        data = payload[index * PIECE : (index + 1) * PIECE]
        answer = await bus.request(subject, _part(_Piece(transfer, index, count, data)), timeout)
    return answer


async def _join_answer(bus: base.Bus, subject: str, answer: bytes, timeout: float) -> bytes:
    if answer[:1] == _WHOLE:
        return answer[1:]
    first = _read(answer)
    if first.index or not 1 <= first.count <= _LARGEST // PIECE:
        raise base.BusError(f"{subject}: a lying piece of an answer: {first.index} of {first.count}")
    parts = [first.data]
    for index in range(1, first.count):
        wanted = _Piece(first.transfer, index, first.count, fetch=True)
        piece = _read(await bus.request(subject, _part(wanted), timeout))
        if (piece.transfer, piece.index, piece.count) != (first.transfer, index, first.count):
            raise base.BusError(f"{subject}: piece {index} of the answer is gone")
        parts.append(piece.data)
    return b"".join(parts)


def _read(payload: bytes) -> _Piece:
    try:
        return codec.decode(_Piece, payload[1:])
    except codec.ForeignMessage as error:
        raise base.BusError(f"not a piece of an answer: {error}") from None


_transfers: dict[base.Bus, int] = {}


def _next_transfer(bus: base.Bus) -> int:
    _transfers[bus] = number = _transfers.get(bus, 0) + 1
    return number


class Responder:
    """Answers requests on a subject with an async handler; each request is a task of the group."""

    def __init__(self, bus: base.Bus, tasks: OrderedTaskGroup, handler: AsyncHandler) -> None:
        self.refused = 0
        self._bus, self._tasks, self._handler = bus, tasks, handler
        self._incoming: dict[str, list[bytes]] = {}
        self._outgoing: dict[str, bytes] = {}

    def serve(self, subject: str, queue: str = "") -> base.Subscription:
        """Starts to answer."""
        return self._bus.subscribe(subject, self._on_message, queue)

    def _on_message(self, message: base.Message) -> None:
        kind, payload = message.payload[:1], message.payload[1:]
        if kind == _WHOLE:
            self._start(message._replace(payload=payload))
            return
        try:
            piece = codec.decode(_Piece, payload)
        except codec.ForeignMessage:
            self.refused += 1
            return
        if piece.fetch:
            self._bus.publish(message.reply, self._outgoing_piece(piece.transfer, piece.index))
        else:
            self._take(message, piece)

    def _take(self, message: base.Message, piece: _Piece) -> None:
        parts = self._incoming.setdefault(piece.transfer, [])
        if piece.index != len(parts) or piece.count * PIECE > _LARGEST:
            self._incoming.pop(piece.transfer, None)
            self.refused += 1
            return
        parts.append(piece.data)
        if len(parts) < piece.count:
            self._forget_oldest(self._incoming)
            self._bus.publish(message.reply, _WHOLE)
            return
        del self._incoming[piece.transfer]
        self._start(message._replace(payload=b"".join(parts)))

    @staticmethod
    def _forget_oldest[T](transfers: dict[str, T]) -> None:
        while len(transfers) > _OPEN_TRANSFERS:
            del transfers[next(iter(transfers))]

    def _start(self, message: base.Message) -> None:
        self._tasks.start(self._answer(message), name=f"answer {message.subject}")

    async def _answer(self, message: base.Message) -> None:
        answer = await self._handler(message)
        if not message.reply:
            return
        if len(answer) <= PIECE:
            self._bus.publish(message.reply, _WHOLE + answer)
            return
        transfer = message.reply
        self._outgoing[transfer] = answer
        self._forget_oldest(self._outgoing)
        self._bus.publish(message.reply, self._outgoing_piece(transfer, 0))

    def _outgoing_piece(self, transfer: str, index: int) -> bytes:
        answer = self._outgoing.get(transfer, b"")
        count = -(-len(answer) // PIECE)
        if index + 1 >= count:
            self._outgoing.pop(transfer, None)
        return _part(_Piece(transfer, index, count, answer[index * PIECE : (index + 1) * PIECE]))
