"""`python scripts/compose.py --nodes N`: prints the compose.yaml of a cluster of that size."""

from typing import Annotated

import typer

from podwire.scripts.cluster.addressing import AddressingError
from podwire.scripts.cluster.layout import LayoutError
from podwire.scripts.containers.composing import compose_file


def main(
    nodes: Annotated[int, typer.Option(help="Worker nodes, beside the control plane.")] = 3,
    ip_family: Annotated[str, typer.Option(help="Addresses of nodes, pods, Services: ipv4, dual or ipv6.")] = "ipv4",
) -> None:
    """Print a compose.yaml: one container a process."""
    try:
        text = compose_file(nodes, ip_family)
    except (LayoutError, AddressingError) as error:
        typer.echo(f"compose.py: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(text, nl=False)


if __name__ == "__main__":
    typer.run(main)
