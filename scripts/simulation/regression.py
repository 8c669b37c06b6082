"""A run that broke an invariant, as a file: seed, schedule, and what broke. It is read back to be run again."""

from pathlib import Path
from typing import Annotated

import msgspec

from podwire.scripts.chaos.actions import Action

SCHEMA = 1


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """One saved run; `minutes` is how long the cluster is busy, `nodes` how many workers it has."""

    schema: int = SCHEMA
    seed: int
    nodes: Annotated[int, msgspec.Meta(ge=1)]
    minutes: Annotated[float, msgspec.Meta(gt=0)]
    invariant: str
    what: list[str]
    schedule: list[Action]


class RegressionError(ValueError):
    """A file that is not a saved run; says what of it is wrong."""


def save(path: Path, regression: Regression) -> None:
    """Writes the file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(regression), indent=1) + b"\n")


def load(path: Path) -> Regression:
    """Reads a file. Raises RegressionError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Regression)
    except OSError as error:
        raise RegressionError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise RegressionError(f"{path}: {error}") from None
    if found.schema != SCHEMA:
        raise RegressionError(f"{path}: schema {found.schema}: {SCHEMA} is needed")
    return found
