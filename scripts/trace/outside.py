"""A traced exchange from a host outside the cluster."""

from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.inject.outside import outside_host
from podwire.services.node.network.sockets import Network
from podwire.services.node.operator import exchange


async def exchange_from_outside(
    client: Operator, call: messages.Connect, addresses: tuple[str, ...], routers: tuple[str, ...]
) -> messages.Outcome:
    """Makes the exchange; `routers` are the addresses of the machine to route through."""
    shell = outside_host(client.bus, client.clock, addresses, routers, client.random.getrandbits(64))
    await client.bus.flush()
    return await exchange(Network(shell, "", call.trace), call, client.clock)
