"""The cluster's side: calls become what an operator does on a simulated cluster."""

import asyncio
import io
import socket
import traceback
from collections.abc import Callable
from typing import Any, Final

import msgspec
from rich.console import Console

from podwire.proto.kube import resources
from podwire.scripts.cluster import sessions
from podwire.scripts.errors import UserError
from podwire.scripts.history.listing import asked, listing
from podwire.scripts.history.past import Past
from podwire.scripts.reach.matrix import verdict
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.scripts.simulation.probing import Silent
from podwire.scripts.simulation.settling import Settling
from podwire.scripts.testing import calls
from podwire.scripts.testing.breaking import Breaking
from podwire.scripts.testing.objects import Objects, log_of
from podwire.scripts.trace.cause import cause
from podwire.scripts.trace.exchange import follow
from podwire.scripts.trace.flights import Flight, chosen, flights
from podwire.scripts.trace.render import tree
from podwire.scripts.trace.resolve import Destination, destination, source
from podwire.services.chassis.api.client import ApiError, ApiUnavailable
from podwire.services.chassis.clock import SECOND

_LONGEST: Final = 120.0
"""Virtual seconds that pods have to become Ready, and a cluster to come to rest."""
_WIDTH: Final = 240
FAILURES: Final = (UserError, ApiError, ApiUnavailable, SimulationFailed, Silent)


class Served:
    """One cluster, and what is asked of it."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self._settling = Settling(cluster)
        self._objects = Objects(cluster)
        self._breaking = Breaking(cluster)
        self._calls: dict[type[msgspec.Struct], Callable[[Any], Any]] = {
            calls.Apply: self._apply,
            calls.Delete: self._objects.delete,
            calls.Get: self._objects.get,
            calls.Listing: self._listing,
            calls.Exec: self._exec,
            calls.Exchange: self._exchange,
            calls.Chaos: self._chaos,
            calls.Wait: self._wait,
        }

    def serve(self, connection: socket.socket) -> calls.Listen | None:
        """Answers until the test is gone (None), or wants forks of this cluster."""
        while (call := calls.receive(connection, calls.Call)) is not None:
            if isinstance(call, calls.Listen):
                return call
            calls.send(connection, self.answer(call))
        return None

    def answer(self, call: calls.Call) -> calls.Told:
        """What comes of one call."""
        value, error = None, ""
        try:
            value = self.cluster.run(self._calls[type(call)](call))
        except FAILURES as failure:
            error = str(failure)
        except Exception:
            error = traceback.format_exc()
        logged, self.cluster.errors[:] = list(self.cluster.errors), []
        return calls.Told(value, error, self.cluster.loop.now_ns / SECOND, self.cluster.broker.stream.last, logged)

    async def _apply(self, call: calls.Apply) -> list[str]:
        applied = await self._objects.apply(call)
        if call.wait:
            lacking = await self._settling.rest(self._settling.pods, _LONGEST)
            if lacking:
                raise UserError(f"{lacking}, {_LONGEST:g} s after they were applied (wait=False does not wait)")
        return applied

    async def _wait(self, call: calls.Wait) -> None:
        if call.seconds is not None:
            await asyncio.sleep(call.seconds)
        elif lacking := await self._settling.rest(_nothing, _LONGEST):
            raise UserError(f"{lacking} within {_LONGEST:g} s")

    async def _listing(self, call: calls.Listing) -> str:
        log = log_of(self.cluster)
        past = Past(log, call.at or log.last, 0 if call.at else self.cluster.clock.now_ns())
        return listing(past, asked(call.arguments, call.namespace, "", call.output, past.kinds))

    async def _exec(self, call: calls.Exec) -> tuple[str, int]:
        output: list[bytes] = []

        def take(channel: int, data: bytes) -> None:
            output.append(data)

        if call.node:
            code = await sessions.run_shell(self.cluster.client, call.node, " ".join(call.command), take)
        else:
            start = await source(self.cluster.client, call.pod, call.namespace)
            pod = await self.cluster.api.get(resources.PODS, start.namespace, start.pod)
            code = await sessions.run_in_pod(self.cluster.client, pod, call.command, take)
        return b"".join(output).decode(errors="replace"), code

    async def _exchange(self, call: calls.Exchange) -> calls.Outcome:
        client = self.cluster.client
        start = await source(client, call.source, call.namespace)
        end = await self._destination(call)
        outcome, hops = await follow(client, start, end, call.timeout, call.via)
        found = flights(hops)
        return calls.Outcome(
            source=start.described(end.address),
            destination=str(end),
            verdict=verdict(outcome, call.timeout),
            reason=outcome.text,
            cause=cause(found),
            trace=_text(found),
            milliseconds=outcome.duration / 1e6,
            hops=[msgspec.to_builtins(hop) for flight in found for hop in flight.hops],
        )

    async def _destination(self, call: calls.Exchange) -> Destination:
        """As `podwire trace` reads it; a name that is no Service's may be a pod's or a workload's."""
        text = f"{call.destination}:{call.port}" if call.port else call.destination
        protocol = "" if "://" in text else call.protocol.lower()
        client = self.cluster.client
        try:
            return await destination(client, text, call.namespace, protocol)
        except UserError:
            if "/" in text:
                raise
            try:
                return await destination(client, f"pod/{text}", call.namespace, protocol)
            except UserError:
                raise UserError(
                    f"{call.destination}: neither a Service nor a pod in namespace {call.namespace}"
                ) from None

    async def _chaos(self, call: calls.Chaos) -> None:
        self._breaking.do(call)


async def _nothing() -> str:
    return ""


def _text(found: list[Flight]) -> str:
    console = Console(file=io.StringIO(), highlight=False, emoji=False, color_system=None, width=_WIDTH)
    with console.capture() as captured:
        for flight in chosen(found):
            console.print(tree(flight, flight.title))
    return captured.get()
