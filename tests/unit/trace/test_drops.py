"""`podwire drops`: what a machine tells of packets that died, and who may hear it."""

import pytest

from podwire.proto.messages import codec
from podwire.proto.messages.telemetry import Drop
from podwire.scripts.cluster.permissions import observer
from podwire.scripts.commands.drops import _read, _text, topic
from podwire.services.chassis.bus.permissions import Permissions
from podwire.services.node.kernel.drops import RECENT, DropLog


def a_drop(number: int) -> Drop:
    return Drop(
        node="node-1", netns="default/web", time=number, reason="NO_SOCKET", device="eth0", summary=f"IP {number}"
    )


@pytest.mark.parametrize(("node", "expected"), [("", "telemetry/drop/+"), ("node-1", "telemetry/drop/node-1")])
def test_the_topic_of_a_machine(node: str, expected: str) -> None:
    assert topic(node) == expected


def test_each_drop_is_told_once() -> None:
    log = DropLog()
    for number in range(3):
        log.recent.append(a_drop(number))
        log.total += 1
    assert [drop.time for drop in log.since(1)] == [1, 2]
    assert log.since(3) == []


def test_of_a_flood_the_most_recent_are_told() -> None:
    log = DropLog()
    for number in range(RECENT + 50):
        log.recent.append(a_drop(number))
        log.total += 1
    told = log.since(0)
    assert (len(told), told[-1].time) == (RECENT, RECENT + 49)


def test_a_line_says_where_and_why() -> None:
    [drop] = _read(codec.encode([a_drop(7)]))
    assert _text(drop).split() == ["node-1", "default/web", "eth0", "NO_SOCKET", "IP", "7"]


def test_foreign_telemetry_is_passed_over() -> None:
    assert _read(b"\xc1") == []
    assert _read(None) == []


@pytest.mark.parametrize(
    ("subject", "may_hear"),
    [("telemetry.drop.node-1", True), ("telemetry.hop.node-2", True), ("kube.events.>", False), (">", False)],
)
def test_observers_hear_telemetry_and_nothing_else(subject: str, may_hear: bool) -> None:
    user = Permissions(*observer())
    assert user.may_subscribe(subject) is may_hear
    assert not user.may_publish(subject.replace(">", "x"))
