"""The simulation's event loop: virtual time, an order that follows from the seed, processes, and what is forbidden."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from podwire.services.chassis.simulation.loop import EPOCH, Forbidden, NothingLeft, SimulatedClock, SimulationLoop

Body = Callable[[], Coroutine[Any, Any, None]]


def loop(seed: int = 1) -> SimulationLoop:
    return SimulationLoop(seed)  # type: ignore[abstract]  # what it does not have raises Forbidden


def interleaving(seed: int, processes: int = 4, steps: int = 6) -> list[str]:
    """The order in which processes that only yield get to run."""
    made, order = loop(seed), []

    async def work(name: str) -> None:
        for step in range(steps):
            order.append(f"{name}{step}")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(made.spawn(name, work(name)) for name in "abcdefgh"[:processes]))

    made.run_until_complete(made.spawn("main", main()))
    return order


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    orders = [interleaving(seed) for seed in range(8)]
    assert orders == [interleaving(seed) for seed in range(8)]
    assert len({tuple(order) for order in orders}) > 6


def test_each_process_runs_first_in_first_out() -> None:
    for seed in range(8):
        order = interleaving(seed)
        for name in "abcd":
            assert [step for step in order if step[0] == name] == [f"{name}{step}" for step in range(6)]


def test_one_process_runs_as_on_asyncio() -> None:
    made, order = loop(), []

    async def task(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0)
        order.append(name.upper())

    async def main() -> None:
        await asyncio.gather(task("a"), task("b"), task("c"))

    made.run_until_complete(made.spawn("main", main()))
    assert order == ["a", "b", "c", "A", "B", "C"]


def test_time_jumps_to_the_next_timer_in_whole_nanoseconds() -> None:
    made, times = loop(), []

    async def main() -> None:
        for delay in (3600.0, 0.001, 0.0):
            await asyncio.sleep(delay)
            times.append(made.now_ns)

    made.run_until_complete(main())
    assert times == [3_600_000_000_000, 3_600_001_000_000, 3_600_001_000_000]
    clock = SimulatedClock(made, skew_ns=5)
    assert clock.monotonic_ns() == made.now_ns and clock.now_ns() == EPOCH + made.now_ns + 5


def test_ties_between_timers_are_broken_by_the_seed() -> None:
    def order(seed: int) -> list[int]:
        made, seen = loop(seed), []

        async def main() -> None:
            for number in range(6):
                made.call_later(1.0, seen.append, number)
            await asyncio.sleep(2.0)

        made.run_until_complete(main())
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(6)}) > 3
    assert sorted(order(1)) == list(range(6))


def test_timeouts_and_cancelled_timers_work() -> None:
    made, fired = loop(), []

    async def main() -> None:
        made.call_later(1.0, fired.append, "cancelled").cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        await asyncio.sleep(1.0)

    made.run_until_complete(main())
    assert fired == [] and made.now_ns == 1_500_000_000


class TestProcesses:
    """kill, SIGSTOP and SIGCONT of simulated processes."""

    @staticmethod
    def ticking(made: SimulationLoop) -> list[int]:
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(1.0)
                ticks.append(made.now_ns // 1_000_000_000)

        made.spawn("ticker", tick())
        return ticks

    def test_a_killed_process_does_nothing_more(self) -> None:
        made = loop()
        ticks = self.ticking(made)

        async def main() -> None:
            await asyncio.sleep(3.5)
            made.kill("ticker")
            await asyncio.sleep(3.0)

        made.run_until_complete(made.spawn("main", main()))
        assert ticks == [1, 2, 3]

    def test_a_killed_process_takes_its_later_tasks_with_it(self) -> None:
        made, ended = loop(), []

        async def child(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async def parent() -> None:
            asyncio.get_running_loop().create_task(child("grandchild"))
            await child("child")

        async def main() -> None:
            made.spawn("victim", parent())
            await asyncio.sleep(1.0)
            made.kill("victim")
            await asyncio.sleep(1.0)

        made.run_until_complete(made.spawn("main", main()))
        assert ended == ["child", "grandchild"]

    def test_a_paused_process_stands_still_and_goes_on(self) -> None:
        made = loop()
        ticks = self.ticking(made)

        async def main() -> None:
            await asyncio.sleep(1.5)
            made.pause("ticker")
            await asyncio.sleep(10.0)
            assert ticks == [1]
            made.resume("ticker")
            await asyncio.sleep(1.0)

        made.run_until_complete(made.spawn("main", main()))
        assert ticks == [1, 11, 12], "the timer that was due runs late, once"

    def test_a_paused_process_can_be_killed(self) -> None:
        made = loop()
        ticks = self.ticking(made)

        async def main() -> None:
            made.pause("ticker")
            await asyncio.sleep(2.0)
            made.kill("ticker")
            await asyncio.sleep(2.0)

        made.run_until_complete(made.spawn("main", main()))
        assert ticks == []


def test_waiting_for_ever_is_said() -> None:
    made = loop()
    with pytest.raises(NothingLeft):
        made.run_until_complete(made.create_task(asyncio.Event().wait()))


def test_a_failure_that_nobody_sees_is_kept() -> None:
    made = loop()

    async def main() -> None:
        made.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    made.run_until_complete(main())
    assert [type(failure["exception"]) for failure in made.failures] == [ZeroDivisionError]


async def _thread() -> None:
    await asyncio.get_running_loop().run_in_executor(None, len, ())


async def _connect() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def _serve() -> None:
    await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


async def _lookup() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def _subprocess() -> None:
    await asyncio.create_subprocess_exec("true")


async def _datagram() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))


async def _from_another_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(len, ())


async def _signal() -> None:
    asyncio.get_running_loop().add_signal_handler(1, len, ())


async def _reader() -> None:
    asyncio.get_running_loop().add_reader(0, len, ())


@pytest.mark.parametrize(
    "body",
    [_thread, _connect, _serve, _lookup, _subprocess, _datagram, _from_another_thread, _signal, _reader],
    ids=lambda body: body.__name__.strip("_"),
)
def test_what_cannot_be_repeated_raises(body: Body) -> None:
    made = loop()
    with pytest.raises(Forbidden):
        made.run_until_complete(made.create_task(body()))
