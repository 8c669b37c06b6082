"""What `--at` means."""

import pytest

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.events import Floor, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.log import Log
from podwire.scripts.history.moments import moment, revision
from podwire.services.apiserver.core.json_types import pack
from podwire.services.chassis.bus.base import Stored
from podwire.services.chassis.clock import SECOND

BEGAN = 1_700_000_000 * SECOND  # 2023-11-14T22:13:20Z
NOW = BEGAN + 60 * SECOND
SUBJECT = subjects.object_events(ObjectKey("", "configmaps", "default", "c"))


def stored(number: int) -> Stored:
    value = pack({"metadata": {"name": "c", "namespace": "default"}})
    event = ObjectEvent(
        change="ADDED", write_id="", previous=0, actor="a", time=BEGAN + number * SECOND, object=value
    )  # fmt: skip  # one event
    return Stored(number, SUBJECT, codec.encode(event))


def log(floor: int = 0) -> Log:
    floors = (Stored(21, subjects.FLOOR, codec.encode(Floor(revision=floor))),) if floor else ()
    return Log("born", Shape(1, "ipv4"), (*(stored(number) for number in range(1, 21)), *floors), 30)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", 30),
        ("7", 7),
        ("25", 25),
        ("50s", 10),
        ("0.5s", 20),
        ("2023-11-14T22:13:33Z", 13),
        ("2023-11-14T23:13:33.9+01:00", 13),
    ],
)
def test_a_revision_a_time_or_how_long_ago(text: str, found: int) -> None:
    assert revision(log(), text, "--at", NOW) == found


def test_a_clock_time_is_todays_in_the_local_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (moment("10:00:00.250", "--at", NOW) - moment("10:00", "--at", NOW)) == SECOND // 4
    assert abs(moment("12:00", "--at", NOW) - NOW) < 24 * 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("31", "--at 31: the log ends at revision 30"),
        ("yesterday", "--at yesterday: a revision, a time as 2026-01-31T12:00:00Z or 12:00:00 (today, local), or how"),
        ("25:00", "--at 25:00: a revision, a time as"),
        ("-5m", "--at -5m: a revision, a time as"),
        ("0", "--at 0: too old resource version: 0 (1) (410 Gone): history begins at revision 1, 2023-11-14T22:13:21Z"),
        ("1h", "--at 1h: too old resource version: 0 (1) (410 Gone)"),
    ],
)
def test_what_is_no_moment_of_the_log(text: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        revision(log(), text, "--at", NOW)
    assert str(refused.value).startswith(says)


def test_history_begins_at_the_floor() -> None:
    assert revision(log(floor=12), "12", "--at", NOW) == 12
    with pytest.raises(UserError, match=r"11 \(12\) \(410 Gone\): history begins at revision 12, 2023-11-14T22:13:32Z"):
        revision(log(floor=12), "11", "--at", NOW)


def test_a_log_that_is_cut_before_its_floor_was_raised_keeps_it() -> None:
    cut = log(floor=12).cut(15)
    assert (cut.floor, cut.last, len(cut.events)) == (12, 16, 15)
    assert log().cut(15).last == 15
