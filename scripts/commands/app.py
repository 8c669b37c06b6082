"""The command line's tree. Only the command that is called is imported: the others would cost a second at each call."""

from importlib import import_module
from typing import Annotated, Final

import typer

from podwire import __version__

COMMANDS: Final = (
    "up",
    "down",
    "status",
    "demo",
    "sim",
    "ssh",
    "trace",
    "reach",
    "inject",
    "capture",
    "drops",
    "proxy",
)
GROUPS: Final = ("chaos", "history")
_ANY_OPTION: Final = {"ignore_unknown_options": True}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"podwire {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """A Kubernetes cluster's network, emulated as a real distributed system."""


def build(called: str) -> typer.Typer:
    """The tree with the command that is called, or with all of them for help and for names that there are not."""
    app = typer.Typer(
        name="podwire",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    known = called in COMMANDS or called in GROUPS
    for name in (called,) if known else (*COMMANDS, *GROUPS):
        module = import_module(f"podwire.scripts.commands.{name}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name, context_settings=_ANY_OPTION if name == "ssh" else {})(getattr(module, name))
    return app
