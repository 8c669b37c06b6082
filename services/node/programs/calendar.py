"""Time since the epoch as a UTC date, without a clock or a time zone. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from podwire.services.chassis.clock import MILLISECOND, SECOND

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORTHANDS: Final = {"T": "%H:%M:%S", "F": "%Y-%m-%d", "D": "%m/%d/%y", "R": "%H:%M", "c": "%a %b %e %H:%M:%S %Y"}


def format_date(form: str, nanoseconds: int) -> str:
    """strftime(3) in the C locale and UTC, of nanoseconds since the epoch; unknown letters stay."""
    moment = datetime.fromtimestamp(nanoseconds // SECOND, UTC)

    def piece(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter in _SHORTHANDS:
            return format_date(_SHORTHANDS[letter], nanoseconds)
        return _PIECES[letter](moment, nanoseconds) if letter in _PIECES else match.group()

    return re.sub("%([a-zA-Z%])", piece, form)


def moment_of(text: str, now: int) -> int | None:
    """Nanoseconds since the epoch of `@SECONDS`, `now`, `YYYY-MM-DD[ HH:MM[:SS]]`; None if it is none of them."""
    if text == "now":
        return now
    if re.fullmatch(r"@\d{1,11}", text):
        return int(text[1:]) * SECOND
    if re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?Z?)?", text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND


_PIECES: Final[dict[str, Callable[[datetime, int], str]]] = {
    "Y": lambda moment, _: f"{moment.year}",
    "y": lambda moment, _: f"{moment.year % 100:02}",
    "m": lambda moment, _: f"{moment.month:02}",
    "d": lambda moment, _: f"{moment.day:02}",
    "e": lambda moment, _: f"{moment.day:2}",
    "H": lambda moment, _: f"{moment.hour:02}",
    "I": lambda moment, _: f"{(moment.hour + 11) % 12 + 1:02}",
    "p": lambda moment, _: "AM" if moment.hour < 12 else "PM",
    "M": lambda moment, _: f"{moment.minute:02}",
    "S": lambda moment, _: f"{moment.second:02}",
    "N": lambda _, nanoseconds: f"{nanoseconds % SECOND:09}",
    "L": lambda _, nanoseconds: f"{nanoseconds % SECOND // MILLISECOND:03}",
    "s": lambda _, nanoseconds: f"{nanoseconds // SECOND}",
    "a": lambda moment, _: DAYS[moment.weekday()],
    "A": lambda moment, _: _LONG_DAYS[moment.weekday()],
    "b": lambda moment, _: MONTHS[moment.month - 1],
    "B": lambda moment, _: _LONG_MONTHS[moment.month - 1],
    "j": lambda moment, _: f"{moment.timetuple().tm_yday:03}",
    "u": lambda moment, _: f"{moment.isoweekday()}",
    "w": lambda moment, _: f"{moment.isoweekday() % 7}",
    "Z": lambda *_: "UTC",
    "z": lambda *_: "+0000",
    "n": lambda *_: "\n",
    "t": lambda *_: "\t",
    "%": lambda *_: "%",
}
