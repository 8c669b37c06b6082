"""`podwire down`: ends the cluster of a folder."""

from pathlib import Path
from typing import Annotated

import typer

from podwire.scripts.cluster.folder import ClusterFolder, FolderError
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.commands.up import stop
from podwire.scripts.errors import UserError


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove the folder with its event log as well.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Stop the cluster. Its event log stays, so that `up` continues it; --purge removes it."""
    folder = ClusterFolder(Path(data_dir))
    if folder.is_of_containers:
        raise UserError(f"the processes of {folder.path} are containers: docker compose down ends them")
    if folder.is_running:
        try:
            stop(folder.supervisor())
        except FolderError as error:
            raise UserError(str(error)) from None
        typer.echo("stopped")
    elif not purge:
        raise UserError(f"no cluster runs in {folder.path}")
    if purge:
        folder.remove()
        typer.echo(f"removed {folder.path}")
