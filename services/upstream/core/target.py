"""Where an upstream container leads: said by its first argument or by $UPSTREAM."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class BadTarget(ValueError):
    """A target that cannot be; names it and what would be right."""


class Target(NamedTuple):
    """A real TCP port of the developer's machine."""

    host: str
    port: int


def target_of(arguments: Sequence[str], environment: Mapping[str, str]) -> Target:
    """`PORT` or `HOST:PORT`, of a loopback address only. Raises BadTarget."""
    text = arguments[0] if arguments else environment.get("UPSTREAM", "")
    if not text:
        raise BadTarget('say where to: args: ["PORT"] or the variable UPSTREAM, as PORT or 127.0.0.1:PORT')
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if host not in _LOOPBACK:
        raise BadTarget(f"upstream {text!r}: only this machine's loopback is allowed ({', '.join(_LOOPBACK)})")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise BadTarget(f"upstream {text!r}: a port from 1 to 65535 is needed")
    return Target(host, int(port))
