"""Amounts on the command line."""

from collections.abc import Callable

import pytest

from podwire.scripts.chaos.amounts import bits_a_second, nanoseconds, share
from podwire.scripts.errors import UserError


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (nanoseconds, "", 0),
        (nanoseconds, "100ms", 100_000_000),
        (nanoseconds, "1.5s", 1_500_000_000),
        (nanoseconds, "2m", 120 * 10**9),
        (share, "10%", 0.1),
        (share, "100%", 1.0),
        (bits_a_second, "1mbit", 10**6),
        (bits_a_second, "9600bit", 9600),
    ],
)
def test_amounts(read: Callable[[str, str], float], text: str, value: float) -> None:
    assert read("--x", text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [(nanoseconds, "100"), (nanoseconds, "-1s"), (share, "10"), (share, "101%"), (bits_a_second, "0mbit")],
)
def test_what_is_no_amount_is_refused_by_name(read: Callable[[str, str], float], text: str) -> None:
    with pytest.raises(UserError, match=f"^--x {text}: "):
        read("--x", text)
