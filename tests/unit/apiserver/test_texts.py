"""Small languages: durations, times, quantities, names, selectors."""

import pytest

from podwire.proto.kube.labels import matches_labels
from podwire.proto.kube.quantity import QuantityError, thousandths
from podwire.proto.kube.times import rfc3339
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import ApiError
from podwire.services.apiserver.core.selectors import format_selector, parse_field_selector, parse_label_selector
from podwire.services.apiserver.core.times import human_duration, parse_time

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (10 * MINUTE, "10m"),
        (179 * MINUTE + 59, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (48 * HOUR, "2d"),
        (50 * HOUR, "2d2h"),
        (8 * DAY, "8d"),
        (729 * DAY, "729d"),
        (730 * DAY, "2y"),
        (800 * DAY, "2y70d"),
        (9 * 365 * DAY, "9y"),
    ],
)
def test_durations_as_kubectl_prints_them(seconds: int, text: str) -> None:
    assert human_duration(seconds * SECOND) == text


def test_times_round_trip() -> None:
    assert rfc3339(1_700_000_000 * SECOND) == "2023-11-14T22:13:20Z"
    assert parse_time("2023-11-14T22:13:20Z") == 1_700_000_000 * SECOND
    assert parse_time("2023-11-14T23:13:20.000001+01:00") == 1_700_000_000 * SECOND + 1000


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2023-13-01T00:00:00Z", "2023-11-14", None, 5, "9999-12-31T23:59:59-23:59x"]
)
def test_what_is_no_time(text: object) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1000),
        ("100m", 100),
        ("1Ki", 1_024_000),
        ("1.5", 1500),
        ("1e3", 1_000_000),
        ("1n", 1),
        ("2G", 2 * 10**12),
        (3, 3000),
    ],
)
def test_quantities(text: object, value: int) -> None:
    assert thousandths(text) == value


@pytest.mark.parametrize("text", ["", "1x", "Ki", "--1", "1e9999", True, None, "1 Gi"])
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(QuantityError):
        thousandths(text)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns1123_label, ["a", "a-1", "1a", "a" * 63], ["", "A", "-a", "a.b", "a" * 64, "a\n"]),
        (names.dns1035_label, ["a", "a-1"], ["1a", "a.b", "a-"]),
        (names.dns1123_subdomain, ["a.b", "1.a", "kubernetes"], ["a..b", ".a", "a_b", "a" * 254]),
        (names.label_key, ["a", "a.b/c", "A_b.c"], ["", "/a", "a/", "a/b/c", "-a", "a" * 64]),
        (names.label_value, ["", "a", "A-b.c_d"], ["-a", "a b", "a" * 64]),
        (names.port_name, ["http", "a1"], ["1", "A", "a--b", "a" * 16, "-a"]),
        (names.canonical_ip, ["10.0.0.1", "2001:db8::1"], ["010.0.0.1", "2001:DB8::1", "x"]),
        (names.path_segment, ["system:node", "a b"], [".", "..", "a/b", "50%"]),
    ],
)
def test_names(rule: names.__class__, good: list[str], bad: list[str]) -> None:  # type: ignore[name-defined]  # a function
    assert [name for name in good if rule(name)] == []
    assert [name for name in bad if not rule(name)] == []


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("", ["one", "two", "bare"]),
        ("app=web", ["one"]),
        ("app==web", ["one"]),
        ("app!=web", ["two", "bare"]),
        ("app in (web, db)", ["one", "two"]),
        ("app notin (web)", ["two", "bare"]),
        ("app", ["one", "two"]),
        ("!app", ["bare"]),
        ("n>1", ["two"]),
        ("n<2", ["one"]),
        ("app=web,n=1", ["one"]),
    ],
)
def test_label_selectors(selector: str, chosen: list[str]) -> None:
    objects = {"one": {"app": "web", "n": "1"}, "two": {"app": "db", "n": "2"}, "bare": {}}
    parsed = parse_label_selector(selector)
    assert [name for name, labels in objects.items() if matches_labels(parsed, labels)] == chosen


@pytest.mark.parametrize("selector", ["a=b=c", "a in b", "-a", "a=-b", "a b"])
def test_a_selector_that_cannot_be_read_is_refused(selector: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_label_selector(selector)
    assert refused.value.code == 400


def test_an_unknown_field_selector_is_refused_by_name() -> None:
    with pytest.raises(ApiError, match="is not a known field selector"):
        parse_field_selector("spec.colour=red", {}, "v1")


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, "<none>"),
        ({}, "<none>"),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
    ],
)
def test_selectors_as_printers_show_them(selector: dict[str, object] | None, text: str) -> None:
    assert format_selector(selector) == text
