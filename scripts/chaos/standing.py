"""What is wrong with a running cluster's links and clocks at the moment, and telling every process of it.

Each command that breaks something keeps a file of its own in the cluster's folder, as long as it runs; what is in force
is all of them together. A file whose command has died counts no more.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.process import Health, HealthRequest, Request
from podwire.proto.packet.addresses import mac_of
from podwire.scripts.chaos.links import BadDirection, faults_of
from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.folder import ClusterFile, RunningProcess
from podwire.scripts.cluster.layout import CONTROL_PLANE, OUTSIDE, machines
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.clock import SECOND

_PATIENCE: Final = 2.0


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """What one command has broken: directions between machines, and clocks by so many seconds."""

    bad: list[BadDirection] = []
    skews: dict[str, float] = {}


class Standing:
    """All that is in force in one cluster's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "chaos"
        self._own = self._folder / f"{os.getpid()}.json"

    def add(self, wrong: Wrong) -> None:
        """This command's part, in place of what it said before."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._own.write_bytes(msgspec.json.encode(wrong))

    def remove(self) -> None:
        """Takes this command's part back. Idempotent."""
        self._own.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Takes everybody's part back; commands that still run end when they see it."""
        for path in self._folder.glob("*.json"):
            path.unlink(missing_ok=True)

    @property
    def is_in_force(self) -> bool:
        """Whether this command's part was not taken back by somebody else."""
        return self._own.exists()

    def all(self) -> Wrong:
        """What commands that still run have broken, together."""
        parts = list(self._parts())
        skews = {node: skew for part in parts for node, skew in part.skews.items()}
        return Wrong(bad=[entry for part in parts for entry in part.bad], skews=skews)

    def _parts(self) -> Iterator[Wrong]:
        for path in sorted(self._folder.glob("*.json")):
            try:
                os.kill(int(path.stem), 0)
                yield msgspec.json.decode(path.read_bytes(), type=Wrong)
            except (ValueError, OSError, msgspec.DecodeError):
                path.unlink(missing_ok=True)


def macs(cluster: ClusterFile) -> dict[str, str]:
    """The machines of a cluster, and the one outside, each with its NIC's MAC."""
    addresses = addressing(cluster.ip_family)
    found = {machine.name: mac_of(machine.address) for machine in machines(cluster.workers, addresses)}
    return {**found, OUTSIDE: mac_of(addresses.outside[0])}


async def tell(client: Client, wrong: Wrong) -> int:
    """Tells every process what is wrong with its links and its clock; how many have heard it."""
    processes = [entry for entry in client.folder.read_processes() if entry.component not in _WITHOUT_FAULTS]
    known = macs(client.cluster)
    heard = await asyncio.gather(*(_tell_one(client, process, wrong, known) for process in processes))
    return sum(heard)


_WITHOUT_FAULTS: Final = ("nats",)


async def _tell_one(client: Client, process: RunningProcess, wrong: Wrong, known: Mapping[str, str]) -> bool:
    health = await _ask(client, process, HealthRequest())
    if health is None:
        return False
    node = health.node
    skew = round(wrong.skews.get(node, 0) * SECOND)
    return (
        await _ask(client, process, faults_of(process.component, node, CONTROL_PLANE, wrong.bad, known, skew))
        is not None
    )


async def _ask(client: Client, process: RunningProcess, request: Request) -> Health | None:
    """None where the process does not answer: it is gone, paused, or just starting."""
    try:
        answer = await client.bus.request(
            subjects.process(process.component, process.instance), codec.encode(request), _PATIENCE
        )
        return codec.decode(Health, answer)
    except (BusError, codec.ForeignMessage):
        return None
