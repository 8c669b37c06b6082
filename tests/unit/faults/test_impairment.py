"""What a bad link does to frames, as tc-netem(8) says."""

from itertools import pairwise

import pytest

from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos.links import BadDirection, faults_of, together
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import MILLISECOND, SECOND
from podwire.services.chassis.impairment import ImpairedLink

FRAME = bytes(range(100))
MANY = 4000


def carried(impairment: Impairment, count: int = MANY, every: int = SECOND) -> tuple[list[tuple[int, bytes]], int]:
    """Arrivals, each with its delay, of frames that leave one every so many nanoseconds; and how many were lost."""
    link = ImpairedLink(impairment, RandomStream(1))
    arrivals, lost = [], 0
    for number in range(count):
        now = number * every
        came = [(due - now, frame) for due, frame in link.carry(FRAME, now)]
        arrivals += came
        lost += not came
    return arrivals, lost


def test_a_whole_link_passes_everything_at_once() -> None:
    assert carried(Impairment(), 3) == ([(0, FRAME)] * 3, 0)


def test_a_partition_passes_nothing() -> None:
    assert carried(Impairment(loss=1), 50) == ([], 50)


@pytest.mark.parametrize(
    ("impairment", "arrivals"),
    [(Impairment(loss=0.25), 0.75 * MANY), (Impairment(duplicate=0.25), 1.25 * MANY)],
)
def test_loss_and_duplication_are_as_likely_as_told(impairment: Impairment, arrivals: float) -> None:
    assert abs(len(carried(impairment)[0]) - arrivals) < 0.03 * MANY


def test_delay_and_jitter() -> None:
    delays = [delay for delay, _ in carried(Impairment(delay=100 * MILLISECOND, jitter=20 * MILLISECOND))[0]]
    assert 80 * MILLISECOND <= min(delays) < 82 * MILLISECOND and 118 * MILLISECOND < max(delays) <= 120 * MILLISECOND


def test_a_reordered_frame_overtakes() -> None:
    delays = [delay for delay, _ in carried(Impairment(delay=SECOND, reorder=0.25))[0]]
    assert set(delays) == {0, SECOND} and abs(delays.count(0) - MANY / 4) < 0.03 * MANY


def test_a_corrupt_frame_has_one_wrong_bit() -> None:
    frames = [frame for _, frame in carried(Impairment(corrupt=1), 20)[0]]
    wrong = [sum((a ^ b).bit_count() for a, b in zip(frame, FRAME, strict=True)) for frame in frames]
    assert wrong == [1] * 20


def test_a_rate_spaces_frames_and_the_limit_drops_what_waits_too_long() -> None:
    slow = Impairment(rate=8 * len(FRAME) * 10, limit=5)
    arrivals, lost = carried(slow, 20, every=0)
    assert [due for due, _ in arrivals] == [SECOND // 10 * number for number in range(1, 6)] and lost == 15


# -- from links between machines to the faults of processes

MACS = {"control-plane": "02:42:ac:12:00:02", "node-1": "02:42:ac:12:00:03", "node-2": "02:42:ac:12:00:04"}
LOST = Impairment(loss=1)


def test_the_machine_at_the_end_of_a_direction_does_not_hear_the_other() -> None:
    bad = [BadDirection("node-1", "node-2", LOST)]
    assert faults_of("node", "node-2", "control-plane", bad, MACS).links == {MACS["node-1"]: LOST}
    assert faults_of("node", "node-1", "control-plane", bad, MACS).links == {}


@pytest.mark.parametrize(
    ("node", "source", "target", "ways"),
    [
        ("node-1", "node-1", "control-plane", ["out"]),
        ("node-1", "control-plane", "node-1", ["in"]),
        ("node-1", "node-1", "node-2", []),
        ("node-2", "node-1", "control-plane", []),
        ("control-plane", "control-plane", "node-1", []),
        ("", "control-plane", "node-1", []),
    ],
)
def test_a_process_reaches_the_api_server_over_the_same_links(
    node: str, source: str, target: str, ways: list[str]
) -> None:
    found = faults_of("kubelet", node, "control-plane", [BadDirection(source, target, LOST)], MACS)
    assert [fault.way for fault in found.faults] == ways and found.links == {}


def test_two_impairments_of_one_direction_add_up() -> None:
    one, other = Impairment(loss=0.5, delay=1, rate=5), Impairment(loss=0.5, delay=2, rate=3, limit=9)
    assert together(one, other) == Impairment(loss=0.75, delay=3, rate=3, limit=9)


def test_a_gap_says_how_many_at_least_keep_their_order() -> None:
    delays = [delay for delay, _ in carried(Impairment(delay=SECOND, reorder=1, gap=4), 12)[0]]
    assert delays == [SECOND, SECOND, SECOND, 0] * 3


def test_correlated_losses_come_in_runs() -> None:
    """With a correlation of 1 - 1/n a draw stays near the one before: fewer, longer runs than by chance alone."""

    def runs(correlation: float) -> int:
        link = ImpairedLink(Impairment(loss=0.5, loss_correlation=correlation), RandomStream(1))
        fates = [bool(link.carry(FRAME, number)) for number in range(MANY)]
        return sum(now != then for then, now in pairwise(fates))

    assert runs(0.9) < runs(0) / 2
