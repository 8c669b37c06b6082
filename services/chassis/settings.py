"""Settings: one msgspec Struct a service, filled from PODWIRE_* environment variables and overrides."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

_PASSWORD_FILE: Final = "PODWIRE_BUS_PASSWORD_FILE"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, its value and what would be right."""


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process needs to know."""

    instance: str
    node: str = ""
    """The machine that the process belongs to ("" for none)."""
    bus_url: str = "nats://127.0.0.1:4222"
    bus_user: str = ""
    bus_password: str = ""
    seed: int = 0
    log_level: str = "info"
    mirror_image: str = ""
    """The image of the static pod's container that stands for this process on its node ("" for none)."""
    disk: str = ""
    """A file for what the process keeps for the one that comes after it ("" for none: it is lost)."""
    alive_file: str = ""
    """A file whose modification time is now, within seconds, while the process has its bus ("" for none)."""


def load[T: msgspec.Struct](
    kind: type[T], given: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> T:
    """The settings from `given`, else from PODWIRE_<FIELD>, else their defaults; a password may stand in the file that
    PODWIRE_BUS_PASSWORD_FILE names. Raises SettingsError."""
    values: dict[str, object] = {}
    for name in kind.__struct_fields__:
        if name in given:
            values[name] = given[name]
        elif (variable := f"PODWIRE_{name.upper()}") in environment:
            values[name] = environment[variable]
    if "bus_password" not in values and _PASSWORD_FILE in environment:
        values["bus_password"] = _password(environment[_PASSWORD_FILE])
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"settings of {kind.__module__.split('.')[-2]}: {error} (given: {_shown(values)})"
        ) from None


def _password(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{_PASSWORD_FILE}={file}: {reason}; a file with the password is needed") from None


def _shown(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={'…' if 'password' in name else value!r}" for name, value in values.items())
