"""One real exchange, traced: what came of it, and every hop of its packets."""

import asyncio
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.scripts.trace.resolve import Destination, Source, node_addresses
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.chance import hexadecimal

_SETTLE: Final = 0.1
"""Seconds that telemetry has to reach the recorder."""


async def follow(
    client: Operator, start: Source, end: Destination, timeout: float, via: str = ""
) -> tuple[messages.Outcome, list[Hop]]:
    """Makes one traced exchange; what came of it and its hops. Raises UserError."""
    name = hexadecimal(client.random, 16)
    call = messages.Connect(
        trace=name,
        namespace=start.namespace,
        pod=start.pod,
        kind=end.kind,
        address=end.address,
        port=end.port,
        host=end.host,
        path=end.path,
        timeout=timeout,
    )
    answer = await _exchange(client, start, call, via)
    await asyncio.sleep(_SETTLE)
    try:
        payload = await pieces.request(client.bus, subjects.TRACES, name.encode(), 5.0)
    except BusError as error:
        raise UserError(f"the recorder does not answer: {error}") from None
    hops: list[Hop] = codec.decode_union(list[Hop], payload)
    return answer, hops


async def _exchange(client: Operator, start: Source, call: messages.Connect, via: str) -> messages.Outcome:
    if start.is_external:
        from podwire.scripts.trace.outside import exchange_from_outside  # a kernel: half a second to import

        routers = await node_addresses(client, via, "--via") if via else ()
        return await exchange_from_outside(client, call, start.addresses, routers)
    if via:
        raise UserError(f"--via {via}: only packets from outside take a way that can be chosen; leave it out")
    answer = await client.ask_machine(start.node, call, call.timeout + 5)
    if not isinstance(answer, messages.Outcome):
        raise UserError(answer.message if isinstance(answer, messages.Refused) else "the machine did not trace")
    return answer
