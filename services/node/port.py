"""The switch port of a machine's NIC: what the links from other machines do to their frames before they arrive.

NATS is the Ethernet switch; the port is where its cables can be bad. Each sender (by its MAC) has a link of its own, so
that a partition of one direction between two machines is a link that loses everything.
"""

import asyncio
from collections.abc import Callable

from podwire.services.chassis.clock import SECOND, Clock
from podwire.services.chassis.faults import Faults
from podwire.services.chassis.impairment import ImpairedLink

_SOURCE = slice(6, 12)

type Batch = tuple[list[bytes], dict[int, str]]
type Takes = Callable[[bytes, str], None]


class SwitchPort:
    """Takes the frames of each message. Those that are late come one by one to `arrive_late`, those that do not arrive
    to `on_loss`, each with its trace's id."""

    def __init__(self, faults: Faults | None, clock: Clock, arrive_late: Takes, on_loss: Takes) -> None:
        self._faults, self._clock = faults, clock
        self._arrive_late, self._on_loss = arrive_late, on_loss
        self._links: dict[bytes, ImpairedLink] = {}

    def pass_on(self, frames: list[bytes], traces: dict[int, str]) -> Batch:
        """The frames, with the trace ids of some, that arrive at once."""
        if self._faults is None or not self._faults.links:
            return frames, traces
        prompt: list[bytes] = []
        followed: dict[int, str] = {}
        for index, frame in enumerate(frames):
            trace = traces.get(index, "")
            if (link := self._link(self._faults, frame[_SOURCE])) is not None:
                self._carry(link, frame, trace, self._faults)
                continue
            if trace:
                followed[len(prompt)] = trace
            prompt.append(frame)
        return prompt, followed

    def _link(self, faults: Faults, source: bytes) -> ImpairedLink | None:
        impairment = faults.links.get(source.hex(":"))
        if impairment is None:
            return None
        link = self._links.get(source)
        if link is None or link.impairment != impairment:
            link = self._links[source] = ImpairedLink(impairment, faults.random)
        return link

    def _carry(self, link: ImpairedLink, frame: bytes, trace: str, faults: Faults) -> None:
        now = self._clock.monotonic_ns()
        arrivals = link.carry(frame, now)
        for due, changed in arrivals:
            asyncio.get_running_loop().call_later((due - now) / SECOND, self._arrive_late, changed, trace)
        if not arrivals:
            faults.count_loss()
            self._on_loss(frame, trace)
