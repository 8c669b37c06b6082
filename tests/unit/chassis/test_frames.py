"""Sessions of numbered frames: order, credit, signs of life, and ends. Two ends on one bus, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from simulated import simulate

from podwire.proto.messages import codec
from podwire.proto.messages.kubelet import (
    ALIVE_EVERY,
    SILENCE_LIMIT,
    STDOUT,
    WINDOW,
    CloseStdin,
    Data,
    Exit,
    Resize,
    StreamError,
    StreamFrame,
)
from podwire.services.chassis.bus.memory import Broker, MemoryBus
from podwire.services.chassis.frames import FrameSession, Received

MOMENT = 0.1


class Ends:
    """`near` and `far`, and what each was told."""

    def __init__(self, broker: Broker) -> None:
        self.buses: list[MemoryBus] = [broker.connect("near"), broker.connect("far")]
        self.told: list[Received] = []
        self.answered: list[Received] = []
        self.near = FrameSession(self.buses[0], "out", "in", self.answered.append)
        self.far = FrameSession(self.buses[1], "in", "out", self.told.append)

    def say(self, *frames: StreamFrame) -> None:
        """Bytes that the far end gets as they are."""
        for frame in frames:
            self.buses[0].publish("out", codec.encode(frame))


def play(scene: Callable[[Ends], Awaitable[None]]) -> None:
    async def main(broker: Broker) -> None:
        ends = Ends(broker)
        await scene(ends)
        ends.near.close()
        ends.far.close()

    simulate(main)


def test_frames_arrive_in_order_until_the_last() -> None:
    async def scene(ends: Ends) -> None:
        await ends.near.write(STDOUT, b"a")
        ends.near.resize(80, 24)
        ends.near.close_input()
        ends.near.finish(3, "why")
        ends.near.resize(1, 1)
        await asyncio.sleep(MOMENT)
        assert ends.told == [Data(1, STDOUT, b"a"), Resize(2, 80, 24), CloseStdin(3), Exit(4, 3, "why")]
        assert not ends.far.is_open
        with pytest.raises(BrokenPipeError):
            await ends.far.write(0, b"nobody")

    play(scene)


def test_a_writer_waits_for_credit_and_goes_on_with_it() -> None:
    async def scene(ends: Ends) -> None:
        writing = asyncio.get_running_loop().create_task(ends.near.write(STDOUT, bytes(2 * WINDOW)))
        await asyncio.sleep(MOMENT)
        taken = [frame for frame in ends.told if isinstance(frame, Data)]
        assert sum(len(frame.data) for frame in taken) == WINDOW and not writing.done()
        for frame in taken:
            ends.far.consumed(len(frame.data))
        await asyncio.sleep(MOMENT)
        assert writing.done()
        assert sum(len(frame.data) for frame in ends.told if isinstance(frame, Data)) == 2 * WINDOW

    play(scene)


def test_a_writer_that_waits_is_told_of_the_end() -> None:
    async def scene(ends: Ends) -> None:
        writing = asyncio.get_running_loop().create_task(ends.near.write(STDOUT, bytes(2 * WINDOW)))
        await asyncio.sleep(MOMENT)
        ends.far.fail("the client is gone")
        with pytest.raises(BrokenPipeError):
            await writing
        assert isinstance(ends.answered[-1], StreamError) and ends.answered[-1].message == "the client is gone"

    play(scene)


FOREIGN: dict[str, tuple[list[StreamFrame | bytes], str]] = {
    "a gap": ([Data(2, STDOUT, b"a")], "frames were lost"),
    "a number again": ([Data(1, STDOUT, b"a"), Data(1, STDOUT, b"a")], "frames were lost"),
    "no frame": ([b"\xc1"], "a frame that cannot be read"),
    "beyond the window": ([Data(1, STDOUT, bytes(WINDOW)), Data(2, STDOUT, b"a")], "were sent ahead"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_breaks_the_rules_ends_the_session_at_both_ends(case: str) -> None:
    frames, reason = FOREIGN[case]

    async def scene(ends: Ends) -> None:
        for frame in frames:
            ends.buses[0].publish("out", frame if isinstance(frame, bytes) else codec.encode(frame))
        await asyncio.sleep(MOMENT)
        for last in (ends.told[-1], ends.answered[-1]):
            assert isinstance(last, StreamError) and reason in last.message
        assert not ends.near.is_open and not ends.far.is_open

    play(scene)


def test_an_idle_session_lives_and_a_silent_one_does_not() -> None:
    async def scene(ends: Ends) -> None:
        loop = asyncio.get_running_loop()
        near, far = loop.create_task(ends.near.stay_alive()), loop.create_task(ends.far.stay_alive())
        await asyncio.sleep(10 * SILENCE_LIMIT + MOMENT)
        assert (ends.told, ends.answered) == ([], [])
        near.cancel()
        await asyncio.sleep(2 * SILENCE_LIMIT + ALIVE_EVERY)
        assert [frame.message for frame in ends.told if isinstance(frame, StreamError)] == ["the other side is silent"]
        assert far.done()

    play(scene)
