"""Amounts as people write them for links: `100ms`, `10%`, `1mbit` (tc(8), PARAMETERS). What is not given is 0."""

import re
from typing import Final

from podwire.scripts.errors import UserError
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.durations import parse_duration

_RATES: Final = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}


def nanoseconds(option: str, text: str) -> int:
    """A time in nanoseconds. Raises UserError."""
    if not text:
        return 0
    seconds = parse_duration(text)
    if seconds is None:
        raise UserError(f"{option} {text}: a duration is needed, as in 100ms or 1m30s")
    return round(seconds * SECOND)


def share(option: str, text: str) -> float:
    """A probability from 0 to 1. Raises UserError."""
    if not text:
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if not found or float(found[1]) > 100:
        raise UserError(f"{option} {text}: a percentage from 0% to 100% is needed")
    return float(found[1]) / 100


def bits_a_second(option: str, text: str) -> int:
    """A rate. Raises UserError."""
    if not text:
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)", text)
    if not found or not float(found[1]):
        raise UserError(f"{option} {text}: a rate in bit, kbit, mbit or gbit is needed, as in 1mbit")
    return round(float(found[1]) * _RATES[found[2]])
