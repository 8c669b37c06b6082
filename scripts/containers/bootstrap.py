"""`python -m podwire.scripts.containers.bootstrap`: makes the event log, applies the system's objects, and waits until
every node and system pod is Ready."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.client import connect
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.layout import OPERATOR
from podwire.scripts.cluster.manifests import load_manifests
from podwire.scripts.cluster.readiness import Progress, make_whole
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.containers.wanted import Wanted, WantedError, cluster_file, wanted
from podwire.scripts.errors import UserError
from podwire.services.chassis import logs
from podwire.services.chassis.settings import ProcessSettings, SettingsError, load

_PATIENCE: Final = 600.0
"""A machine that starts all containers at once, on few cores."""

_LONG_AGO: Final = ""
"""Containers that run already may go on: `docker compose up` starts this one again beside them."""


def main() -> None:
    """Brings the cluster up; what is wrong is one line, and the container is started again."""
    logs.configure("error", "podwire", "bootstrap")
    try:
        asyncio.run(_bring_up(wanted(), load(ProcessSettings, {"instance": "bootstrap", "bus_user": OPERATOR})))
    except (WantedError, SettingsError, UserError) as error:
        sys.exit(f"bootstrap: {error}")


async def _bring_up(ask: Wanted, settings: ProcessSettings) -> None:
    cluster = cluster_file(ask, settings.bus_url, settings.bus_password)
    client = await connect(cluster, ClusterFolder(Path()), attempts=500)
    progress = Progress(tell=lambda line: print(line, flush=True), since=_LONG_AGO)
    progress.reached("bus")
    try:
        bodies = load_manifests(MANIFESTS, addressing(ask.ip_family), ask.proxy_mode)
        await make_whole(client, bodies, progress, _PATIENCE)
    finally:
        await client.bus.close()


if __name__ == "__main__":
    main()
