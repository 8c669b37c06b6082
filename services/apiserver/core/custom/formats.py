"""The formats of strings that are checked; others are ignored.

Source: apiextensions-apiserver `pkg/apiserver/validation/formats.go` (which), kube-openapi `pkg/validation/strfmt`.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from podwire.services.apiserver.core.times import parse_time

_UUID: Final = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_MAC: Final = re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")
_HOST: Final = re.compile(
    r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?"
)
_DURATION: Final = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    def is_valid(text: str) -> bool:
        try:
            read(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return is_valid


def _cidr(text: str) -> None:
    if "/" not in text:
        raise ValueError(text)
    ipaddress.ip_interface(text)


def _uri(text: str) -> None:
    parts = urlsplit(text)
    if not (parts.scheme or text.startswith("/")) or " " in text:
        raise ValueError(text)


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_KNOWN: Final[dict[str, Callable[[str], bool]]] = {
    "uuid": _matches(_UUID),
    "mac": _matches(_MAC),
    "hostname": _matches(_HOST),
    "duration": _matches(_DURATION),
    "email": _matches(_EMAIL),
    "ipv4": _reads(ipaddress.IPv4Address),
    "ipv6": _reads(ipaddress.IPv6Address),
    "cidr": _reads(_cidr),
    "uri": _reads(_uri),
    "byte": _reads(lambda text: base64.b64decode(text, validate=True)),
    "date": _reads(date.fromisoformat),
    "date-time": lambda text: parse_time(text) is not None,
    "datetime": lambda text: parse_time(text) is not None,
}


def is_of_format(name: str, text: str) -> bool:
    """Whether a string is of a format; True for formats that nobody checks."""
    known = _KNOWN.get(name)
    return known is None or known(text)
