"""`--app NAME=module:attribute`: users' own applications, checked before anything is started."""

import os
import re
import subprocess
import sys
from typing import Final

from podwire.scripts.cluster.components import COMPONENTS
from podwire.scripts.cluster.layout import IMAGES, App
from podwire.scripts.errors import UserError

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PATIENCE: Final = 60


def read_apps(given: list[str]) -> tuple[App, ...]:
    """The applications of a command line. Raises UserError for a name that cannot be one, or what cannot be loaded."""
    apps: list[App] = []
    for text in given:
        name, equals, application = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UserError(
                f"--app {text}: NAME=module:attribute is needed, NAME in lower case letters, digits and '-'"
            )
        if name in (*COMPONENTS, *IMAGES.values()) or name in [app.name for app in apps]:
            raise UserError(f"--app {text}: the name {name} is taken")
        _check(text, application)
        apps.append(App(name, application, os.getcwd()))
    return tuple(apps)


def _check(text: str, application: str) -> None:
    """Loads it in a process of its own: what a module does at its import stays there."""
    command = [sys.executable, "-m", "podwire.services.app.loading", os.getcwd(), application]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise UserError(f"--app {text}: its import took longer than {_PATIENCE} s") from None
    if done.returncode:
        raise UserError(f"--app {text}: {(done.stderr.strip().splitlines() or ['it cannot be loaded'])[-1]}")
