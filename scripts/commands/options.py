"""Options that several commands have."""

from typing import Annotated

import typer

DataDir = Annotated[str, typer.Option("--data-dir", envvar="PODWIRE_DATA_DIR", help="The cluster's folder.")]
DEFAULT_DATA_DIR = ".podwire"

# What netem does to a link's frames, or to what a pod sends (scripts/chaos/amounts.py reads them).
Delay = Annotated[str, typer.Option(help="Each packet is late, as in 100ms.")]
Jitter = Annotated[str, typer.Option(help="By so much more or less.")]
Loss = Annotated[str, typer.Option(help="The share that is lost, as in 10%.")]
Duplicate = Annotated[str, typer.Option(help="The share that arrives twice.")]
Reorder = Annotated[str, typer.Option(help="The share that is not late, and so overtakes.")]
Corrupt = Annotated[str, typer.Option(help="The share with one wrong bit.")]
Rate = Annotated[str, typer.Option(help="As in 1mbit.")]
