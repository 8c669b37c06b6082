"""`podwire demo`: a cluster, one request followed through it, one failure; nothing is left behind."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from podwire.scripts.cluster.client import run_connected
from podwire.scripts.cluster.start import Options, start
from podwire.scripts.commands.up import bring_up, stop
from podwire.scripts.demo.tour import Tour


def demo(nodes: Annotated[int, typer.Option(help="Worker nodes.")] = 3) -> None:
    """Boot a cluster, follow a request, pause a kube-proxy, clean up."""
    with tempfile.TemporaryDirectory(prefix="podwire-demo-") as folder:
        data_dir = str(Path(folder) / ".podwire")
        typer.secho(f"# podwire up --nodes {nodes}", bold=True)
        started = start(Options(workers=nodes, data_dir=data_dir, api_port=0))
        try:
            asyncio.run(bring_up(started))
            run_connected(data_dir, lambda client: Tour(client).walk())
        finally:
            stop(started.cluster.supervisor)
    typer.secho("\n# cleaned up: no process and no file is left", bold=True)
