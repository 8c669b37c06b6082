"""`podwire capture`: what passes the devices of a cluster, as a file that Wireshark and tshark read."""

import asyncio
import ipaddress
import signal
import sys
from io import FileIO
from typing import Annotated

import typer

from podwire.proto.kube import resources
from podwire.scripts.capture.session import CaptureRun, Wanted
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.trace.resolve import Source, source


def capture(
    write: Annotated[str, typer.Option("--write", "-w", metavar="FILE", help="pcapng; - for standard output.")],
    pod: Annotated[str, typer.Option(help="Of this pod's namespace only.")] = "",
    node: Annotated[list[str] | None, typer.Option(help="On this machine (may be repeated).")] = None,
    device: Annotated[list[str] | None, typer.Option(help="At devices of this name (may be repeated).")] = None,
    host: Annotated[list[str] | None, typer.Option(help="From or to this address, tunnels included.")] = None,
    port: Annotated[list[int] | None, typer.Option(help="From or to this port, tunnels included.")] = None,
    drops: Annotated[bool, typer.Option(help="Also the packets that die, with the reason.")] = True,
    count: Annotated[int, typer.Option("--count", "-c", help="Stop after so many frames (0: never).")] = 0,
    duration: Annotated[float, typer.Option(help="Stop after so many seconds (0: at ^C).")] = 0.0,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of the pod.")] = "default",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Capture real frames at every device, of the whole cluster or of a node or pod; read it with tshark -r FILE."""
    check(host or [], port or [], count, duration)

    async def work(client: Client) -> None:
        place = await source(client, pod, namespace) if pod else None
        nodes = (place.node,) if place else await machines(client, node or [])
        wanted = Wanted(
            nodes=nodes,
            **named(place),
            devices=tuple(device or ()),
            hosts=tuple(host or ()),
            ports=tuple(port or ()),
            drops=drops,
            count=count,
            seconds=duration,
        )
        await to_file(client, wanted, write)

    run_connected(data_dir, work)


def check(hosts: list[str], ports: list[int], count: int, duration: float) -> None:
    """Refuses what cannot be captured. Raises UserError."""
    for host in hosts:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise UserError(f"--host {host}: an IPv4 or IPv6 address is needed") from None
    for port in ports:
        if not 0 < port < 65536:
            raise UserError(f"--port {port}: a number from 1 to 65535 is needed")
    if count < 0:
        raise UserError(f"--count {count}: a number of frames from 0 is needed")
    if not 0 <= duration < 1e9:
        raise UserError(f"--duration {duration:g}: a number of seconds from 0 is needed")


def named(place: Source | None) -> dict[str, str]:
    """The pod to capture; a pod on the host network is its machine."""
    if place is None:
        return {}
    if not place.pod:
        raise UserError(f"--pod: this pod is on the host network; use --node {place.node}")
    return {"namespace": place.namespace, "pod": place.pod}


async def machines(client: Client, wanted: list[str]) -> tuple[str, ...]:
    """The machines that are named, or all. Raises UserError."""
    known = [entry["metadata"]["name"] for entry in await client.api.list(resources.NODES)]
    for name in wanted:
        if name not in known:
            raise UserError(f"--node {name}: no such node; nodes are {', '.join(known)}")
    return tuple(wanted or known)


async def to_file(client: Client, wanted: Wanted, name: str) -> None:
    """Captures until enough, or until ^C, and says how much it was. Raises UserError."""
    with opened(name) as file:
        run = CaptureRun(client, wanted, lambda octets: write_out(file, name, octets))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, run.stop.set)
        told = loop.create_task(_tell_opened(run))
        try:
            await run.run()
        finally:
            told.cancel()
    done = run.file
    lost = f"; {done.lost} more found the queue full and are missing" if done.lost else ""
    sys.stderr.write(f"{done.frames} frames of {done.devices} devices, {done.drops} dropped packets{lost}\n")


async def _tell_opened(run: CaptureRun) -> None:
    await run.opened.wait()
    sys.stderr.write(f"capturing on {', '.join(run.wanted.nodes)}\n")
    sys.stderr.flush()


def opened(name: str) -> FileIO:
    """The file to write. Raises UserError."""
    if name == "-":
        return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    try:
        return open(name, "wb", buffering=0)
    except OSError as error:
        raise UserError(f"--write {name}: {error.strerror}") from None


def write_out(file: FileIO, name: str, octets: bytes) -> None:
    """Writes at once: somebody may be reading along. Raises UserError, and BrokenPipeError if nobody does any more."""
    rest = memoryview(octets)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"--write {name}: {error.strerror}") from None
