"""The ordered task group: starts, fails and cancels in the order of starting."""

import asyncio

import pytest

from podwire.services.chassis.tasks import OrderedTaskGroup


class Journal:
    """Tasks that write down when they begin and how they end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def forever(self, name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.lines.append(f"{name} cancelled")
            raise

    async def fail(self, error: Exception) -> None:
        self.lines.append(f"fails with {error}")
        raise error

    async def finish(self, name: str) -> str:
        self.lines.append(f"{name} done")
        return name


async def test_the_block_ends_when_all_tasks_have_ended() -> None:
    journal = Journal()
    async with OrderedTaskGroup() as tasks:
        made = [tasks.start(journal.finish(name), name) for name in "abc"]
        assert journal.lines == []
    assert journal.lines == ["a done", "b done", "c done"]
    assert [task.result() for task in made] == ["a", "b", "c"]


async def test_the_first_failure_cancels_the_rest_in_the_order_of_their_start() -> None:
    journal = Journal()

    async def block() -> None:
        async with OrderedTaskGroup() as tasks:
            for number in range(20):
                tasks.start(journal.forever(str(number)), str(number))
            tasks.start(journal.fail(ValueError("broken")), "failing")

    with pytest.raises(ValueError, match="broken"):
        await block()
    assert journal.lines == ["fails with broken", *(f"{number} cancelled" for number in range(20))]


async def test_a_failure_interrupts_a_block_that_waits() -> None:
    journal = Journal()

    async def block() -> None:
        async with OrderedTaskGroup() as tasks:
            tasks.start(journal.fail(ValueError("broken")), "failing")
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="broken"):
        await block()
    current = asyncio.current_task()
    assert current is not None and not current.cancelling(), "the failure is told, not a cancellation"


async def test_the_first_of_two_failures_is_raised() -> None:
    journal = Journal()

    async def block() -> None:
        async with OrderedTaskGroup() as tasks:
            tasks.start(journal.fail(ValueError("first")), "a")
            tasks.start(journal.fail(ValueError("second")), "b")

    with pytest.raises(ValueError, match="first"):
        await block()


async def test_a_failing_block_cancels_its_tasks() -> None:
    journal = Journal()

    async def block() -> None:
        async with OrderedTaskGroup() as tasks:
            tasks.start(journal.forever("a"), "a")
            await asyncio.sleep(0)
            raise KeyError("x")

    with pytest.raises(KeyError):
        await block()
    assert journal.lines == ["a cancelled"]


async def test_a_block_may_cancel_its_tasks_and_go_on() -> None:
    journal = Journal()
    async with OrderedTaskGroup() as tasks:
        for name in ("a", "b"):
            tasks.start(journal.forever(name), name)
        await asyncio.sleep(0)
        tasks.cancel_all()
        with pytest.raises(RuntimeError, match="closing"):
            tasks.start(journal.finish("c"), "c")
    assert journal.lines == ["a cancelled", "b cancelled"]


async def test_a_cancelled_owner_cancels_its_tasks_and_stays_cancelled() -> None:
    journal = Journal()

    async def owner() -> None:
        async with OrderedTaskGroup() as tasks:
            tasks.start(journal.forever("a"), "a")
            tasks.start(journal.forever("b"), "b")

    running = asyncio.get_running_loop().create_task(owner())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert journal.lines == ["a cancelled", "b cancelled"]


async def test_a_closing_group_starts_nothing() -> None:
    journal = Journal()
    group = OrderedTaskGroup()
    async with group:
        pass
    with pytest.raises(RuntimeError, match="closing"):
        group.start(journal.finish("late"), "late")
    assert journal.lines == []
