"""`podwire up`: starts a cluster, in the foreground or in the background."""

import asyncio
import os
import signal
import sys
import time
from typing import Annotated

import typer

from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.apps import read_apps
from podwire.scripts.cluster.client import connect
from podwire.scripts.cluster.manifests import load_manifests
from podwire.scripts.cluster.readiness import Progress, make_whole
from podwire.scripts.cluster.start import MANIFESTS, Options, Started, start
from podwire.scripts.cluster.upstream_dns import read_upstream
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.services.chassis import logs
from podwire.services.kube_proxy.core.configuration import MODES


def up(
    nodes: Annotated[int, typer.Option(help="Worker nodes, beside the control plane.")] = 3,
    cni: Annotated[str, typer.Option(help="The CNI plugin: flannel.")] = "flannel",
    proxy_mode: Annotated[str, typer.Option(help="kube-proxy's mode: iptables, ipvs or nftables.")] = "iptables",
    ip_family: Annotated[str, typer.Option(help="Addresses of nodes, pods, Services: ipv4, dual or ipv6.")] = "ipv4",
    api_port: Annotated[int, typer.Option(help="The API's port on 127.0.0.1 (0: any free one).")] = 6443,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it running in the background.")] = False,
    app: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODULE:ATTR", help="An ASGI application as image NAME; repeatable."),
    ] = None,
    upstream_dns: Annotated[
        str,
        typer.Option(metavar="host|ADDRESS[:PORT]", help="A real resolver for names that are none of the cluster's."),
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start a cluster: one process a component, ready in seconds."""
    if cni != "flannel":
        raise UserError(f"--cni {cni}: not built yet; flannel is")
    if proxy_mode not in MODES:
        raise UserError(f"--proxy-mode {proxy_mode}: there are {', '.join(MODES)}")
    upstream = read_upstream(upstream_dns)
    options = Options(nodes, data_dir, api_port, detach, read_apps(app or []), ip_family, upstream)
    run_up(options, proxy_mode)


def run_up(options: Options, proxy_mode: str = "iptables") -> None:
    """Starts a cluster, or continues the folder's; in the foreground until it ends. Raises UserError."""
    started = start(options)
    try:
        asyncio.run(bring_up(started, proxy_mode))
    except BaseException:
        stop(started.cluster.supervisor)
        raise
    typer.echo(f"kubectl --kubeconfig {started.folder.kubeconfig} get nodes")
    typer.echo(f"ssh -F {started.folder.ssh_config} node-1")
    if not options.detach:
        _stay(started)


async def bring_up(started: Started, proxy_mode: str = "iptables") -> Progress:
    """Waits until the cluster is whole, telling the phases. Raises UserError."""
    logs.configure("error", "podwire", "cli")
    progress = Progress(tell=lambda line: typer.echo(line))
    client = await connect(started.cluster, started.folder, attempts=500)
    progress.reached("bus")
    try:
        bodies = load_manifests(MANIFESTS, addressing(started.cluster.ip_family), proxy_mode)
        await make_whole(client, bodies, progress)
    finally:
        await client.bus.close()
    return progress


def _stay(started: Started) -> None:
    """In the foreground the cluster lives as long as this process."""
    typer.echo("running; Ctrl-C ends it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        os.waitpid(started.cluster.supervisor, 0)
    except (KeyboardInterrupt, SystemExit):
        typer.echo("stopping")
    except ChildProcessError:
        pass
    finally:
        stop(started.cluster.supervisor)


def stop(supervisor: int, patience: float = 10.0) -> None:
    """Ends a supervisor and all of its processes; returns when they are gone. Raises UserError."""
    try:
        os.kill(supervisor, signal.SIGTERM)
    except ProcessLookupError:
        return
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            done, _ = os.waitpid(supervisor, os.WNOHANG)
            if done:
                return
        except ChildProcessError:
            if not _exists(supervisor):
                return
        time.sleep(0.01)
    raise UserError(f"process {supervisor} does not end; kill -9 {supervisor} ends the cluster")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
