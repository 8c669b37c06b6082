"""Options that several commands have."""

from typing import Annotated

import typer

DataDir = Annotated[str, typer.Option("--data-dir", envvar="PODWIRE_DATA_DIR", help="The cluster's folder.")]
DEFAULT_DATA_DIR = ".podwire"
