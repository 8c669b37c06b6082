"""One component away under load: what was seen, and whether that is what was expected."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Protocol

from podwire.scripts.cluster.client import Client

from .effects import Effect, Seen, see, surprises
from .load import Load
from .uses import Uses
from .workload import deploy

_CALM: Final = 90.0
"""Everything works within so many seconds, before and after: the kubelet's back-off is 10 s, then 20 s, then 40 s."""


class Ground(Protocol):
    """A cluster whose components can be taken away and brought back."""

    async def take_away(self, absent: str) -> None:
        """kill -9, and nothing takes its place."""

    async def bring_back(self, absent: str) -> None:
        """It is started again."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen of one effect."""

    effect: Effect
    seen: tuple[Seen, ...]

    @property
    def surprises(self) -> list[str]:
        """What went otherwise than expected."""
        return surprises(self.effect, self.seen)


class Scene:
    """One cluster with its workload, on which one component after the other is away."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._uses: Uses | None = None

    async def play(self, effect: Effect, ground: Ground) -> Report:
        """Takes the component away under load, brings it back, and waits until all is well. Fails if it never is."""
        if self._uses is None:
            self._uses = Uses(self._client, await deploy(self._client))
        async with Load(self._uses.streams()) as load:
            await load.until_good(_CALM)
            away = time.monotonic()
            await ground.take_away(effect.absent)
            await asyncio.sleep(effect.seconds)
            back = time.monotonic()
            await ground.bring_back(effect.absent)
            await load.until_good(_CALM)
            report = Report(effect, tuple(see(stream, away, back) for stream in load.streams))
        await self._uses.clean()
        return report
