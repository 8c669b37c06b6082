"""`podwire ssh NODE COMMAND…`: runs a command line on a machine."""

import sys
from typing import Annotated

import typer

from podwire.proto.messages.kubelet import STDERR
from podwire.scripts.cluster.client import run_connected
from podwire.scripts.cluster.sessions import run_shell
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir


def ssh(
    node: Annotated[str, typer.Argument(help="The machine: control-plane, node-1, …")],
    command: Annotated[list[str], typer.Argument(help="What to run there.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run a command on a node, as `ssh node-1 "…"` does."""
    line = " ".join(command)
    raise typer.Exit(run_connected(data_dir, lambda client: run_shell(client, node, line, copy)))


def copy(channel: int, data: bytes) -> None:
    """Passes output on to the terminal."""
    stream = sys.stderr if channel == STDERR else sys.stdout
    stream.buffer.write(data)
    stream.flush()
