"""A container engine, if there is one: Compose in either of its forms, and the image of this source tree."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "podwire-under-test"
BASE: Final = os.environ.get("PODWIRE_BASE_IMAGE", "python:3.13-slim")
"""The image that podwire's is made from; it is here, or can be pulled."""
_BUILD_SECONDS: Final = 900


@cache
def missing() -> str:
    """What there is not ("": nothing)."""
    if shutil.which("docker") is None or _run(["docker", "info"]).returncode:
        return "no container engine runs here"
    if not compose():
        return "neither docker compose nor docker-compose is installed"
    if _run(["docker", "image", "inspect", BASE]).returncode and _run(["docker", "pull", BASE]).returncode:
        return f"the image {BASE} is not here and cannot be pulled"
    return ""


@cache
def compose() -> tuple[str, ...]:
    """How Compose is called: the plugin, else the program of its own; () for neither."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and _run([*command, "version"]).returncode == 0:
            return command
    return ()


@cache
def build() -> None:
    """Builds the image from this tree, once a run."""
    command = ["docker", "build", "-f", "compose/Dockerfile", "--build-arg", f"BASE={BASE}", "-t", IMAGE, "."]
    done = _run(command, _BUILD_SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _run(command: list[str], seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
