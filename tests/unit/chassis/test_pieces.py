"""Requests and answers in pieces: the receiver acts on the whole or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import simulate

from podwire.proto.messages import codec
from podwire.services.chassis.bus import base, pieces
from podwire.services.chassis.bus.memory import Broker, MemoryBus
from podwire.services.chassis.bus.pieces import PIECE, Responder, request
from podwire.services.chassis.tasks import OrderedTaskGroup

Answer = Callable[[base.Message], Awaitable[bytes]]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of 16 bytes, so that sizes around the border are cheap."""
    monkeypatch.setattr(pieces, "PIECE", 16)
    monkeypatch.setattr(pieces, "_LARGEST", 16 * 64)
    return 16


class Served:
    """A responder that keeps what it was asked, and answers with `answer`."""

    def __init__(self, broker: Broker, tasks: OrderedTaskGroup, answer: bytes = b"ok") -> None:
        self.asked: list[bytes] = []
        self.bus = broker.connect("server")
        self.responder = Responder(self.bus, tasks, self._handle)
        self.responder.serve("s")
        self.client: MemoryBus = broker.connect("client")
        self._answer = answer

    async def _handle(self, message: base.Message) -> bytes:
        self.asked.append(message.payload)
        return self._answer

    async def send(self, *given: object) -> bytes | None:
        """One piece as a client might send it: (transfer, index, count, data, fetch)."""
        try:
            return await self.client.request("s", b"\1" + codec.encode(list(given)), 0.1)
        except base.RequestTimeout:
            return None


@given(question=st.integers(0, 100), answer=st.integers(0, 100))
@settings(max_examples=60)
def test_any_size_arrives_whole(question: int, answer: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 16)
        sent, wanted = bytes(range(question)), bytes(range(100, 100 + answer))

        async def main(broker: Broker) -> None:
            async with OrderedTaskGroup() as tasks:
                served = Served(broker, tasks, wanted)
                assert await request(served.client, "s", sent, 5) == wanted
                assert served.asked == [sent]
                assert not served.responder._incoming and not served.responder._outgoing, "nothing is kept"

        simulate(main)


def test_more_than_the_bus_takes_in_one_message() -> None:
    question = bytes(range(256)) * (3 * PIECE // 256 + 1)
    assert len(question) > base.MAX_PAYLOAD

    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            served = Served(broker, tasks, question[::-1])
            assert await request(served.client, "s", question, 5) == question[::-1]

    simulate(main)


@pytest.mark.parametrize(
    "sent",
    [
        [("t", 1, 2, b"second first")],
        [("t", 0, 3, b"a"), ("t", 2, 3, b"c")],
        [("t", 0, 3, b"a"), ("t", 0, 3, b"a again"), ("t", 1, 3, b"b"), ("t", 2, 3, b"c")],
        [("t", 0, 10**9, b"more than anybody may send")],
        [("t", -1, 2, b"negative")],
        [("t", "0", 2, b"not a number")],
        [("t", 0, 2, "not bytes")],
        [("t",)],
        [("u", 0, 2, b"never finished")],
    ],
    ids=lambda sent: str(sent[0])[:40],
)
@pytest.mark.usefixtures("small")
def test_lying_pieces_are_never_acted_on(sent: list[tuple[object, ...]]) -> None:
    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            served = Served(broker, tasks)
            for piece in sent:
                await served.send(*piece)
            assert served.asked == []
            assert await request(served.client, "s", b"honest", 5) == b"ok"

    simulate(main)


@pytest.mark.usefixtures("small")
def test_unfinished_transfers_are_forgotten() -> None:
    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            served = Served(broker, tasks)
            for number in range(500):
                assert await served.send(f"t{number}", 0, 2, b"x" * 16) == b"\0"
            assert len(served.responder._incoming) <= 64

    simulate(main)


@pytest.mark.usefixtures("small")
def test_an_answer_whose_rest_is_gone_is_an_error_not_a_short_answer() -> None:
    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            served = Served(broker, tasks, bytes(100))

            async def restart() -> None:
                await asyncio.sleep(0.003)
                served.responder._outgoing.clear()

            tasks.start(restart(), "the responder forgets, as after a restart")
            with pytest.raises(base.BusError, match="is gone"):
                await request(served.client, "s", b"?", 5)

    simulate(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\1",
        b"\1\xff",
        b"\2foreign",
        b"\1" + codec.encode(["t", 1, 2, b"x", False]),
        b"\1" + codec.encode(["t", 0, 10**12, b"x", False]),
        b"\1" + codec.encode(["t", 0, 0, b"x", False]),
    ],
)
def test_foreign_answers_are_errors(answer: bytes) -> None:
    async def main(broker: Broker) -> None:
        server, client = broker.connect("server"), broker.connect("client")
        server.subscribe("s", lambda message: server.publish(message.reply, answer))
        with pytest.raises(base.BusError):
            await request(client, "s", b"?", 1)

    simulate(main)


@given(payload=st.binary(max_size=60))
@settings(max_examples=60)
def test_foreign_requests_kill_no_responder(payload: bytes) -> None:
    async def main(broker: Broker) -> None:
        async with OrderedTaskGroup() as tasks:
            served = Served(broker, tasks)
            served.client.publish("s", payload)
            assert await request(served.client, "s", b"honest", 5) == b"ok"

    simulate(main)
