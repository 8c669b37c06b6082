"""A cluster of real processes for the time of a measurement, and what is asked of it."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from podwire.scripts.cluster.client import Client, connect
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.sessions import run_shell


def podwire(*arguments: str) -> str:
    """The output of a command that must succeed."""
    command = [sys.executable, "-m", "podwire.scripts", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@contextmanager
def cluster(*options: str) -> Iterator[ClusterFolder]:
    """A cluster in a folder of its own, and nothing of it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = str(Path(folder) / ".podwire")
        try:
            podwire("up", "--api-port", "0", "-d", "--data-dir", data_dir, *options)
            yield ClusterFolder(Path(data_dir))
        finally:
            podwire("down", "--purge", "--data-dir", data_dir)


def asked[T](folder: ClusterFolder, work: Callable[[Client], Awaitable[T]]) -> T:
    """What a coroutine with a client's connection comes to."""

    async def main() -> T:
        client = await connect(folder.read_cluster(), folder)
        try:
            return await work(client)
        finally:
            await client.bus.close()

    return asyncio.run(main())


async def printed(client: Client, node: str, line: str) -> str:
    """The output of a command line on a machine."""
    output = bytearray()
    await run_shell(client, node, line, lambda _, data: output.extend(data))
    return output.decode()


def share(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
