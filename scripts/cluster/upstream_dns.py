"""What `--upstream-dns` means."""

import ipaddress
from pathlib import Path
from typing import Final

from podwire.scripts.errors import UserError

_RESOLV_CONF: Final = Path("/etc/resolv.conf")


def read_upstream(text: str) -> str:
    """ADDRESS:PORT of a real resolver, "" for none; `host` is the first that this machine itself asks.

    Raises UserError.
    """
    if not text:
        return ""
    address, _, port = (_first_of_this_machine() if text == "host" else text).partition(":")
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise UserError(f"--upstream-dns {text}: host, or an IPv4 address with or without a port, is needed") from None
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UserError(f"--upstream-dns {text}: a port from 1 to 65535 is needed")
    return f"{address}:{port or 53}"


def _first_of_this_machine() -> str:
    try:
        rows = [line.split() for line in _RESOLV_CONF.read_text().splitlines()]
    except OSError as error:
        raise UserError(f"--upstream-dns host: {_RESOLV_CONF}: {error.strerror}") from None
    found = [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]
    if not found:
        raise UserError(f"--upstream-dns host: {_RESOLV_CONF} names no server; give an address")
    return found[0]
