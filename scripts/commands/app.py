"""The command line's tree."""

from typing import Annotated

import typer

from podwire import __version__
from podwire.scripts.commands import chaos, demo, down, drops, sim, ssh, status, trace, up

app = typer.Typer(
    name="podwire",
    help="A Kubernetes cluster's network, emulated as a real distributed system.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"podwire {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """A Kubernetes cluster's network, emulated as a real distributed system."""


app.command("up")(up.up)
app.command("down")(down.down)
app.command("demo")(demo.demo)
app.command("status")(status.status)
app.command("ssh", context_settings={"ignore_unknown_options": True})(ssh.ssh)
app.command("drops")(drops.drops)
app.command("trace")(trace.trace)
app.command("sim")(sim.sim)
app.add_typer(chaos.app, name="chaos")
