"""Subjects: every name survives the way into a subject and back, and never changes its shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto import subjects
from podwire.proto.subjects import ObjectKey, SubjectError

NAMES = st.text(min_size=1, max_size=40)


@given(NAMES)
def test_a_token_round_trips_and_is_one_token(name: str) -> None:
    token = subjects.token(name)
    assert subjects.untoken(token) == name
    assert not set(token) & set(". *>\t\r\n")
    assert token.isascii()


def test_the_empty_name_is_an_underscore() -> None:
    assert (subjects.token(""), subjects.untoken("_"), subjects.untoken(subjects.token("_"))) == ("_", "", "_")


@given(st.text(max_size=20), NAMES, st.text(max_size=20), NAMES)
def test_object_keys_round_trip(group: str, resource: str, namespace: str, name: str) -> None:
    key = ObjectKey(group, resource, namespace, name)
    subject = subjects.object_events(key)
    assert subjects.parse_object_events(subject) == key
    assert subjects.matches(subjects.resource_events(group, resource), subject)
    assert subjects.matches(subjects.ALL_EVENTS, subject)


@given(NAMES, NAMES, NAMES)
def test_container_subjects_round_trip(image: str, node: str, container: str) -> None:
    expected = subjects.ContainerAddress(image, node, container)
    assert subjects.parse_container(subjects.container_calls(image, node, container)) == expected
    assert subjects.parse_container(subjects.container_signals(image, node, container)) == expected


@given(NAMES)
def test_api_requests_name_their_user(user: str) -> None:
    assert subjects.parse_api_request(subjects.api_request(user)) == user


@given(st.text(max_size=60))
def test_foreign_subjects_are_refused_or_parsed(text: str) -> None:
    for parse in (subjects.parse_object_events, subjects.parse_container, subjects.parse_api_request):
        try:
            parse(text)  # type: ignore[operator]  # three functions of one shape
        except SubjectError:
            pass


@pytest.mark.parametrize(
    ("pattern", "subject", "taken"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.d", False),
        ("a", "a.b", False),
    ],
)
def test_matching(pattern: str, subject: str, taken: bool) -> None:
    assert subjects.matches(pattern, subject) is taken
