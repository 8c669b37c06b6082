"""`podwire proxy`: a SOCKS5 proxy into the cluster, until it is interrupted."""

import asyncio
import os
from typing import Annotated, Final

import typer

from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.cluster.visitors import any_addresses
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError

DOMAIN: Final = "cluster.local"
_LOOK_EVERY: Final = 0.5


def proxy(
    port: Annotated[int, typer.Option(help="The proxy's port on 127.0.0.1 (0: any free one).")] = 1080,
    via: Annotated[str, typer.Option(metavar="NODE", help="The node to enter through.")] = "node-1",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Reach pods and Services by name from this machine: curl --socks5-hostname 127.0.0.1:1080 http://my-api"""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: a port from 0 to 65535 is needed")
    run_connected(data_dir, lambda client: _serve(client, port, via))


async def _serve(client: Client, port: int, via: str) -> None:
    from podwire.scripts.inject.outside import outside_host  # a kernel: half a second that others need not wait
    from podwire.scripts.proxy.server import Proxy
    from podwire.scripts.trace.resolve import node_addresses
    from podwire.services.chassis.live.clock import LiveClock
    from podwire.services.node.network.sockets import Network

    routers = await node_addresses(client, via, "--via")
    shell = outside_host(client.bus, LiveClock(), any_addresses(client.random), routers)
    await client.bus.flush()
    made = Proxy(Network(shell, ""), await _name_server(client), DOMAIN, shell.kernel.random, typer.echo)
    try:
        server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"--port {port}: {why}; choose another (0: any free one)") from None
    number = server.sockets[0].getsockname()[1]
    typer.echo(f"SOCKS5 on 127.0.0.1:{number}, entering through {via}; names resolve in the cluster")
    async with server:
        while client.folder.is_running:
            await asyncio.sleep(_LOOK_EVERY)
    raise UserError("the cluster has ended")


async def _name_server(client: Client) -> str:
    try:
        service = await client.api.get(resources.SERVICES, "kube-system", "kube-dns")
    except ApiError as error:
        raise UserError(f"names cannot be resolved: {error}") from None
    return str(service["spec"]["clusterIP"])
