"""What became of a packet, read off its hops; and that watching many of them is bounded."""

import pytest

from podwire.proto.messages.machine import RawPacket
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.inject.fate import Answer, fate, refused
from podwire.scripts.inject.tracker import MOST_HOPS, QUIET, Tracker

ASKED = "IP 10.244.1.5.40000 > 10.96.0.10.53: UDP, length 5"
TRANSLATED = "IP 10.244.1.5.40000 > 10.244.2.3.5353: UDP, length 5"
ANSWER = "IP 10.244.2.3.5353 > 10.244.1.5.40000: UDP, length 9"
ARP = "ARP, Reply 10.244.2.3 is-at 02:00:00:00:00:01, length 28"


def hop(summary: str, time: int, kind: str, netns: str = "", node: str = "node-1", **more: object) -> Hop:
    values = {"trace": "t", "summary": summary, "kind": kind, "netns": netns, "node": node, **more}
    return Hop(sequence=time, time=time, **values)  # type: ignore[arg-type]  # a table of plain values


SENT = [
    hop(ASKED, 1, "route", "default/a"),
    hop(ASKED, 2, "device-transmit", "default/a", device="eth0"),
    hop(TRANSLATED, 3, "nat", verdict="DNAT", before="10.96.0.10:53", after="10.244.2.3:5353"),
]
ARRIVED = [*SENT, hop(ARP, 4, "device-receive"), hop(TRANSLATED, 5, "socket", "default/b", detail="udp port 5353")]
DIED = [*SENT, hop(TRANSLATED, 5, "drop", reason="NEIGH_FAILED", detail="10.244.2.3 did not answer ARP")]


def test_delivered_and_answered() -> None:
    found = fate([*ARRIVED, hop(ANSWER, 6, "route", "default/b"), hop(ANSWER, 7, "socket", "default/a")])
    assert (found.kind, found.place, found.detail) == ("delivered", "node-1 default/b", "udp port 5353")
    assert found.answers == (Answer(ANSWER, "node-1 default/a"),) and found.is_answered


def test_dropped_with_a_reason_and_what_to_do() -> None:
    found = fate(DIED)
    assert (found.kind, found.reason, found.place) == ("dropped", "NEIGH_FAILED", "node-1 host")
    assert "nobody answers ARP" in found.advice
    assert not found.is_answered


@pytest.mark.parametrize(
    ("last", "detail"),
    [
        (hop(TRANSLATED, 9, "device-transmit", device="eth0"), "left through eth0; nobody with that MAC took it"),
        (hop(TRANSLATED, 9, "neighbour", device="eth0", detail="waits"), "last seen at neighbour eth0: waits"),
    ],
)
def test_lost(last: Hop, detail: str) -> None:
    found = fate([*SENT, last])
    assert (found.kind, found.detail) == ("lost", detail)


def test_refused_names_the_packet_and_the_remedy() -> None:
    found = refused("EMSGSIZE: too long", RawPacket(data=b"\x45"))
    assert (found.kind, found.reason, found.detail) == ("refused", "EMSGSIZE", "EMSGSIZE: too long")
    assert "make the payload smaller" in found.advice and "truncated" in found.summary
    assert fate([]).kind == "lost"


def test_a_packet_is_done_when_nothing_more_is_told_or_patience_ends() -> None:
    tracker = Tracker()
    tracker.watch("t", 0, 0.0, 4.0)
    tracker.watch("u", 1, 0.0, 4.0)
    for each in ARRIVED:
        tracker.hear(each, 1.0)
    assert tracker.done(1.0 + QUIET / 2) == []
    [(index, found)] = tracker.done(1.1 + QUIET)
    assert (index, found.kind) == (0, "delivered")
    [(index, found)] = tracker.done(4.0)
    assert (index, found.kind, len(tracker)) == (1, "lost", 0)


def test_a_loop_does_not_fill_the_memory() -> None:
    tracker = Tracker()
    tracker.watch("t", 0, 0.0, 1.0)
    for number in range(MOST_HOPS + 100):
        tracker.hear(hop(ASKED, number, "route", "x"), 0.5)
        tracker.hear(Hop(trace="other", node="n", netns="", sequence=1, time=1, kind="route", summary=""), 0.5)
    [(_, found)] = tracker.done(1.0)
    assert len(found.hops) == MOST_HOPS
