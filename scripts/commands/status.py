"""`podwire status`: what runs, and where it is reached."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from podwire.proto.kube.families import host_port
from podwire.scripts.cluster.folder import ClusterFolder, FolderError
from podwire.scripts.cluster.layout import OBSERVER
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError


def status(
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show the processes of the running cluster."""
    folder = ClusterFolder(Path(data_dir))
    try:
        cluster, processes = folder.read_cluster(), folder.read_processes()
    except FolderError as error:
        raise UserError(str(error)) from None
    if output == "json":
        value = {
            "api": f"https://127.0.0.1:{cluster.api_port}",
            "kubeconfig": str(folder.kubeconfig),
            "supervisor": cluster.supervisor,
            "processes": [asdict(entry) for entry in processes],
            "doors": folder.read_doors(),
        }
        typer.echo(json.dumps(value, indent=1))
        return
    if output != "table":
        raise UserError(f"--output {output}: table or json is needed")
    table = Table(box=None, pad_edge=False)
    for heading in ("COMPONENT", "NODE", "PID", "STATE", "RESTARTS"):
        table.add_column(heading)
    for entry in processes:
        state = "serving" if entry.claimed else ("idle" if entry.component in CLAIMED else "running")
        table.add_row(entry.component, entry.node or "-", str(entry.pid), state, str(entry.restarts))
    Console(emoji=False).print(table)
    typer.echo(f"\nAPI server   https://127.0.0.1:{cluster.api_port}")
    typer.echo(f"kubeconfig   {folder.kubeconfig}")
    for door in folder.read_doors():
        typer.echo(_door(door))
    typer.echo(f"telemetry    mqtt://127.0.0.1:{cluster.mqtt_port}  user {OBSERVER}, password in cluster.json")


def _door(door: dict[str, Any]) -> str:
    """One line: where a Service's port is reached from this machine."""
    service = f"{door['namespace']}/{door['name']}" + (f":{door['port_name']}" if door["port_name"] else "")
    place = f"{host_port(door['address'] or 'NodePort', door['port'])}/{door['protocol']}"
    return f"service      127.0.0.1:{door['door']}  {service} at {place}"


CLAIMED = ("kube-proxy", "flannel", "coredns")
