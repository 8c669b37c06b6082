"""The Python API of packet injection."""

import math
import secrets
from collections.abc import Iterable

from podwire.proto.messages.machine import RawPacket
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.errors import UserError
from podwire.scripts.inject.crafting import craft
from podwire.scripts.inject.recipe import Fields, recipe
from podwire.scripts.inject.replay import read_file, replayed
from podwire.scripts.inject.senders import DEVICE, sender
from podwire.scripts.inject.session import PATIENCE, Result, inject
from podwire.scripts.trace.resolve import Source, destination, source
from podwire.services.chassis.chance import RandomStream

FOLDER = ".podwire"


def inject_packets(
    from_: str,
    to: str,
    fields: Fields,
    *,
    namespace: str = "default",
    via: str = "",
    rate: float = 0.0,
    patience: float = PATIENCE,
    data_dir: str = FOLDER,
) -> list[Result]:
    """Sends packets with these fields and returns what happened to each, in order.

    `from_` is a pod, a node or `external`, `to` an address, Service or pod with a port, as on the command line; `rate`
    is packets a second (0: as fast as it goes), `patience` seconds. Raises UserError that names what is wrong.
    """

    async def work(client: Client) -> list[Result]:
        start = await source(client, from_, namespace)
        return await inject_from(
            client, start, await crafted(client, start, to, fields, namespace), via=via, rate=rate, patience=patience
        )

    return run_connected(data_dir, work)


def inject_file(
    from_: str,
    file: str,
    *,
    namespace: str = "default",
    device: str = DEVICE,
    via: str = "",
    rate: float = 0.0,
    patience: float = PATIENCE,
    data_dir: str = FOLDER,
) -> list[Result]:
    """The same for the packets of a pcap or pcapng file; Ethernet frames leave through `device`. Raises UserError."""
    packets = list(replayed(read_file(file), file))

    async def work(client: Client) -> list[Result]:
        start = await source(client, from_, namespace)
        return await inject_from(client, start, packets, device=device, via=via, rate=rate, patience=patience)

    return run_connected(data_dir, work)


async def crafted(client: Client, start: Source, to: str, fields: Fields, namespace: str) -> list[RawPacket]:
    """The packets that fields mean. Raises UserError."""
    asked = fields.protocol.lower()
    known = asked if asked in ("tcp", "udp", "sctp") else "icmp" if asked else ""
    end = await destination(client, to, namespace, known)
    made = recipe(fields, start.towards(end.address), end.address, end.port)
    return [RawPacket(data=packet) for packet in craft(made, RandomStream(secrets.randbits(64)))]


async def inject_from(
    client: Client,
    start: Source,
    packets: Iterable[RawPacket],
    *,
    device: str = DEVICE,
    via: str = "",
    rate: float = 0.0,
    patience: float = PATIENCE,
) -> list[Result]:
    """Sends packets from a source and returns what happened to each, in order. Raises UserError."""
    if not (math.isfinite(rate) and 0 <= rate <= 1e6):
        raise UserError(f"--rate {rate:g}: packets a second, from 0 (as fast as it goes) to 1000000, are needed")
    if not (math.isfinite(patience) and 0 < patience <= 3600):
        raise UserError(f"--wait {patience:g}: a number of seconds above 0 and up to 3600 is needed")
    who = await sender(client, start, device, via)
    return await inject(client.bus, who, packets, rate=rate, patience=patience)
