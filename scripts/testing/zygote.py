"""`python -m podwire.scripts.testing.zygote`: boots one simulated cluster, and forks it for every test that connects.

A fork may become the root of forks itself, once manifests are applied in it: what tests have in common is done once.
"""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
from typing import Final, Never, Protocol

import msgspec

from podwire.scripts.cluster.addressing import AddressingError
from podwire.scripts.cluster.layout import LayoutError
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.scripts.simulation.scenario import Scenario
from podwire.scripts.simulation.settling import QUIET
from podwire.scripts.testing import calls
from podwire.scripts.testing.serving import Served

BACKLOG: Final = 64


class Boot(msgspec.Struct, frozen=True):
    """What is booted, and where its forks are to be had."""

    path: str
    nodes: int
    ip_family: str
    proxy_mode: str
    seed: int


class _Open(Protocol):
    def fileno(self) -> int: ...


def boot(wanted: Boot) -> SimulatedCluster:
    """A cluster that is whole. Raises LayoutError, AddressingError, SimulationFailed."""
    cluster = SimulatedCluster(wanted.seed, wanted.nodes, MANIFESTS / "static", wanted.ip_family)
    cluster.run(Scenario(cluster, MANIFESTS, lambda line: None, wanted.proxy_mode).boot())
    cluster.run(asyncio.sleep(QUIET))
    return cluster


def listening(path: str) -> socket.socket:
    """A socket that tests connect to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    return listener


def serve_forks(cluster: SimulatedCluster, listener: socket.socket, owner: _Open) -> Never:
    """Forks for whoever connects, until the owner is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # so that a fork's collector does not touch, and so copy, what all forks share
    while True:
        ready, _, _ = select.select([owner, listener], [], [])
        if owner in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _serve(cluster, connection)
        connection.close()


def _serve(cluster: SimulatedCluster, connection: socket.socket) -> Never:
    try:
        call = Served(cluster).serve(connection)
        if call is None:
            os._exit(0)
        listener = listening(call.path)
        calls.send(connection, calls.Told())
        serve_forks(cluster, listener, connection)
    except (OSError, KeyboardInterrupt):
        os._exit(1)


def main() -> None:
    """Reads a Boot from its argument; says on standard output how many seconds the boot took."""
    wanted = msgspec.json.decode(sys.argv[1], type=Boot)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for pytest, which ends its clusters
    began = time.monotonic()
    try:
        cluster = boot(wanted)
    except (LayoutError, AddressingError, SimulationFailed) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    listener = listening(wanted.path)
    sys.stdout.write(f"{time.monotonic() - began:.3f}\n")
    sys.stdout.flush()
    serve_forks(cluster, listener, sys.stdin)


if __name__ == "__main__":
    main()
