"""Go's durations."""

import pytest

from podwire.services.chassis.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("30s", 30.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("250ms", 0.25), (".5s", 0.5), ("1h2m3s", 3723.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "5 s", "5sx", "1d", "five"])
def test_what_is_none(text: str) -> None:
    assert parse_duration(text) is None
