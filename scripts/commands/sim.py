"""`podwire sim`: a whole cluster in one process, on virtual time, from a seed."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from podwire.scripts.cluster.addressing import AddressingError
from podwire.scripts.cluster.layout import LayoutError
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.errors import UserError
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.scripts.simulation.scenario import Scenario


def sim(
    seed: Annotated[int, typer.Option(help="Decides delays, the order of execution and every random choice.")],
    nodes: Annotated[int, typer.Option(help="Worker nodes.")] = 3,
    ip_family: Annotated[str, typer.Option(help="Addresses of nodes, pods, Services: ipv4, dual or ipv6.")] = "ipv4",
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Boot a simulated cluster, serve a request, kill a kube-proxy; print the hash of the event log."""
    if output not in ("text", "json"):
        raise UserError(f"--output {output}: text or json is needed")
    began = time.monotonic()
    try:
        cluster = SimulatedCluster(seed, nodes, MANIFESTS / "static", ip_family)
        report = Scenario(cluster, MANIFESTS, lambda line: typer.echo(line) if output == "text" else None).run()
    except (AddressingError, LayoutError) as error:
        raise UserError(str(error)) from None
    except SimulationFailed as error:
        typer.echo(f"seed {seed}: {error}", err=True)
        raise typer.Exit(1) from None
    if output == "json":
        typer.echo(json.dumps(asdict(report)))
        return
    real = time.monotonic() - began
    typer.echo(f"\n{report.virtual_seconds:.1f} s simulated in {real:.1f} s, {report.steps} steps")
    typer.echo(f"event log  {report.digest}")
