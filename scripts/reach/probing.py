"""Probes made: machines are asked for real exchanges, many at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.scripts.reach.matrix import Matrix, Origin, Probe, Result, Target, judged, probes, spread, unaddressed
from podwire.services.chassis.clock import SECOND

AT_A_TIME: Final = 64
"""Exchanges that wait for an answer at once."""
_MARGIN: Final = 5.0
"""Seconds that a machine has beyond the exchange's own time."""

type Ask = Callable[[messages.Connect], Awaitable[messages.Answer]]


async def probe_all(
    client: Operator,
    origins: Sequence[Origin],
    targets: Sequence[Target],
    timeout: float,
    routers: tuple[str, ...] = (),
) -> Matrix:
    """The whole table; `timeout` is seconds an exchange, `routers` the addresses that a host outside routes through."""
    order = spread(len(origins), len(targets))
    begun = client.clock.monotonic_ns()
    results = await make(client, probes(origins, targets), order, timeout, routers)
    seconds = (client.clock.monotonic_ns() - begun) / SECOND
    return Matrix(tuple(origins), tuple(targets), results, seconds)


async def make(
    client: Operator, wanted: Sequence[Probe], order: Sequence[int], timeout: float, routers: tuple[str, ...] = ()
) -> tuple[Result, ...]:
    """The results of probes, which are made in some order of their indexes.

    What had no answer is asked once more when all others are done: a busy machine answers then, a lost packet never.
    """
    origins = {probe.origin.name: probe.origin for probe in wanted}
    asking = {name: _ask(client, origin, routers) for name, origin in origins.items()}
    await client.bus.flush()
    results: dict[int, Result] = {}

    async def one(index: int) -> None:
        probe = wanted[index]
        results[index] = await _result(asking[probe.origin.name], probe, timeout)

    await _each(order, one)
    await _each([index for index, result in results.items() if result.verdict == "no answer"], one)
    return tuple(results[index] for index in range(len(wanted)))


async def _each(indexes: Sequence[int], make: Callable[[int], Awaitable[None]]) -> None:
    waiting = iter(indexes)

    async def work() -> None:
        for index in waiting:
            await make(index)

    await asyncio.gather(*(work() for _ in range(min(AT_A_TIME, len(indexes)))))


async def _result(ask: Ask, probe: Probe, timeout: float) -> Result:
    known = unaddressed(probe)
    if known is not None:
        return known
    try:
        return judged(probe, await ask(probe.call(timeout)), timeout)
    except UserError as error:
        return Result(probe, "not probed", str(error))


def _ask(client: Operator, origin: Origin, routers: tuple[str, ...]) -> Ask:
    if origin.source.is_external:
        return _outside(client, origin, routers)

    async def ask(call: messages.Connect) -> messages.Answer:
        return await client.ask_machine(origin.source.node, call, call.timeout + _MARGIN)

    return ask


def _outside(client: Operator, origin: Origin, routers: tuple[str, ...]) -> Ask:
    """One host for all its probes; its kernel takes half a second to import."""
    from podwire.scripts.inject.outside import outside_host
    from podwire.services.node.network.sockets import Network
    from podwire.services.node.operator import exchange

    seed = client.random.getrandbits(64)
    network = Network(outside_host(client.bus, client.clock, origin.source.addresses, routers, seed), "")

    async def ask(call: messages.Connect) -> messages.Answer:
        return await exchange(network, call, client.clock)

    return ask
