"""The load: each way to use the cluster again and again, and when it worked and when it did not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.bus.base import BusError

Use = Callable[[], Awaitable[str]]
"""Uses the cluster once; what went wrong ("": nothing)."""
_GOOD: Final = 3
"""So many successes in a row are no accident."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One use: when it began and ended (time.monotonic), and what went wrong."""

    began: float
    ended: float
    wrong: str


@dataclass(slots=True)
class Stream:
    """One way to use the cluster: so many seconds from one begin to the next, so many until it counts as failed."""

    name: str
    use: Use
    period: float = 0.25
    patience: float = 2.0
    samples: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        """Uses the cluster until it is cancelled."""
        while True:
            began = time.monotonic()
            wrong = await self._once()
            self.samples.append(Sample(began, time.monotonic(), wrong))
            await asyncio.sleep(max(0.0, began + self.period - time.monotonic()))

    async def _once(self) -> str:
        try:
            async with asyncio.timeout(self.patience):
                return await self.use()
        except TimeoutError:
            return f"not within {self.patience:g} s"
        except (ApiError, ApiUnavailable, BusError, UserError, OSError) as error:
            return str(error) or type(error).__name__

    def is_good_since(self, moment: float) -> bool:
        """Whether the last uses that began after a moment all worked."""
        since = [sample for sample in self.samples if sample.began >= moment]
        return len(since) >= _GOOD and not any(sample.wrong for sample in since[-_GOOD:])


class Load:
    """All streams at once."""

    def __init__(self, streams: list[Stream]) -> None:
        self.streams = streams
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(stream.run(), name=stream.name) for stream in self.streams]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_good(self, patience: float) -> None:
        """Waits until everything works. Fails with what does not."""
        since = time.monotonic()
        while bad := [stream for stream in self.streams if not stream.is_good_since(since)]:
            told = {stream.name: stream.samples[-1].wrong for stream in bad if stream.samples}
            assert time.monotonic() - since < patience, f"not within {patience:g} s: {told}"
            for task in self._tasks:
                if task.done():
                    await task
            await asyncio.sleep(0.1)
