"""Each scheduler of IPVS against what the kernel's own algorithm gives, worked out by hand, and against its promise."""

import os
import subprocess
import sys
from collections import Counter
from functools import reduce
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.services.node.kernel.ipvs.hashing import hash_32, hsiphash_word
from podwire.services.node.kernel.ipvs.schedulers import SCHEDULERS, Scheduler
from podwire.services.node.kernel.ipvs.service import Destination, ServiceKey, VirtualService

CLIENT, VIRTUAL = 0x0AF40105, 0x0A600007
WEIGHTS = st.lists(st.integers(0, 20), min_size=1, max_size=6)


def service(name: str, *weights: int, flags: int = 0) -> tuple[VirtualService, Scheduler]:
    """A service whose list is A, B, C, … with these weights."""
    made = VirtualService(ServiceKey(0, 6, VIRTUAL, 80), 0)
    made.schedule_flags = flags
    for number, weight in enumerate(weights):
        server = Destination(made, 0x0AF40200 + number, 8080, 0)
        server.set(weight, 0, 0, added=True)
        made.destinations.append(server)
    return made, SCHEDULERS[name](made)


def letter(made: VirtualService, server: Destination | None) -> str:
    return "-" if server is None else chr(ord("A") + server.address - 0x0AF40200)


def sequence(name: str, weights: tuple[int, ...], count: int, *, source: int = CLIENT) -> str:
    """The servers of `count` new connections, all of which stay established."""
    made, scheduler = service(name, *weights)
    said = ""
    for _ in range(count):
        server = scheduler.choose(source, 40000, VIRTUAL)
        said += letter(made, server)
        if server is not None:
            server.active += 1
    return said


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("rr", (1, 1, 1), "ABCABC"),
        ("rr", (5, 0, 1), "ACACAC"),
        ("rr", (0, 0), "--"),
        # rounds for weights of at least 4, 3, 2, 1
        ("wrr", (4, 3, 2), "AABABCABCAABABCABC"),
        ("wrr", (2, 2), "ABAB"),
        ("wrr", (3, 0, 1), "AAACAAAC"),
        ("wrr", (6, 4), "AABABAABAB"),
        ("wrr", (0, 0), "--"),
        ("lc", (1, 9), "ABABAB"),
        ("lc", (1, 0, 1), "ACAC"),
        # the least of 256 * active / weight, the first in the list of equals
        ("wlc", (2, 1), "ABAABAABA"),
        ("wlc", (1, 0), "AAA"),
        # the least of (active + 1) / weight
        ("sed", (2, 1), "AABAABAAB"),
        ("sed", (3, 1), "AAABAAAB"),
        # every idle one first, then as sed
        ("nq", (3, 1), "ABAAAAAB"),
        ("nq", (1, 1, 1), "ABCABC"),
        ("sh", (0, 0), "--"),
        ("mh", (0, 0), "--"),
        ("dh", (0,), "-"),
    ],
)
def test_the_order_in_which_servers_are_chosen(name: str, weights: tuple[int, ...], expected: str) -> None:
    assert sequence(name, weights, len(expected)) == expected


@pytest.mark.parametrize("name", SCHEDULERS)
def test_without_servers_there_is_no_choice(name: str) -> None:
    assert sequence(name, (), 1) == "-"


def test_round_robin_goes_on_behind_a_server_that_is_taken_out() -> None:
    made, scheduler = service("rr", 1, 1, 1)
    assert [letter(made, scheduler.choose(CLIENT, 1, VIRTUAL)) for _ in range(2)] == ["A", "B"]
    gone = made.destinations.pop(1)
    scheduler.removed(1, gone)
    assert [letter(made, scheduler.choose(CLIENT, 1, VIRTUAL)) for _ in range(3)] == ["C", "A", "C"]


@pytest.mark.parametrize("source", [CLIENT, 0x0AF40106, 0xC0A80001, 1, 0xFFFFFFFF])
def test_source_hashing_deals_256_buckets_by_weight(source: int) -> None:
    bucket = (source * 0x61C88647 & 0xFFFFFFFF) >> 24
    assert sequence("sh", (3, 1), 3, source=source) == "AAAB"[bucket % 4] * 3


def test_source_hashing_by_port_and_with_a_fallback() -> None:
    made, scheduler = service("sh", 1, 1, flags=2)
    assert {letter(made, scheduler.choose(CLIENT, port, VIRTUAL)) for port in range(1, 50)} == {"A", "B"}
    made, scheduler = service("sh", 1, 1)
    first = scheduler.choose(CLIENT, 1, VIRTUAL)
    assert first is not None
    first.overloaded = True
    assert scheduler.choose(CLIENT, 1, VIRTUAL) is None
    made.schedule_flags = 1
    assert scheduler.choose(CLIENT, 1, VIRTUAL) not in (None, first)


@pytest.mark.parametrize("virtual", [VIRTUAL, 0x0A600008, 0x0A60FFFF])
def test_destination_hashing_deals_256_buckets_in_turn(virtual: int) -> None:
    made, scheduler = service("dh", 1, 9, 1)
    bucket = (virtual * 0x61C88647 & 0xFFFFFFFF) >> 24
    assert letter(made, scheduler.choose(CLIENT, 1, virtual)) == "ABC"[bucket % 3]


def test_hash_32_keeps_the_top_bits() -> None:
    assert [hash_32(value, 8) for value in (0, 1, 2, 0xFFFFFFFF)] == [0, 0x61, 0xC3, 0x9E]


def test_siphash_is_the_one_that_python_hashes_bytes_with() -> None:
    """CPython's SipHash-1-3 under a zero key, cut to 32 bits as hsiphash does."""
    words = [0, 1, 0x0AF40105, 0xFFFFFFFF]
    code = f"print([hash(word.to_bytes(4, 'little')) & 0xFFFFFFFF for word in {words}])"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if sys.hash_info.algorithm != "siphash13":
        pytest.skip("this Python hashes bytes with something else")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([hsiphash_word(word, (0, 0)) for word in words])


def maglev(*weights: int) -> Counter[str]:
    made, scheduler = service("mh", *weights)
    return Counter(letter(made, scheduler.choose(source, 1, VIRTUAL)) for source in range(CLIENT, CLIENT + 4000))


def test_maglev_gives_each_server_its_weight_s_share() -> None:
    shares = maglev(1, 2, 5)
    assert [round(shares[each] / 500) for each in "ABC"] == [1, 2, 5]


def test_maglev_moves_few_clients_when_a_server_leaves() -> None:
    made, scheduler = service("mh", 1, 1, 1, 1)
    before = {source: scheduler.choose(source, 1, VIRTUAL) for source in range(CLIENT, CLIENT + 2000)}
    gone = made.destinations.pop(1)
    scheduler.removed(1, gone)
    moved = sum(scheduler.choose(source, 1, VIRTUAL) is not server for source, server in before.items())
    lost = sum(server is gone for server in before.values())
    assert lost <= moved < lost * 1.5


def test_maglev_keeps_the_places_of_a_server_that_drains() -> None:
    made, scheduler = service("mh", 1, 1)
    before = [scheduler.choose(source, 1, VIRTUAL) for source in range(CLIENT, CLIENT + 200)]
    made.destinations[0].set(0, 0, 0, added=False)
    scheduler.changed()
    after = [scheduler.choose(source, 1, VIRTUAL) for source in range(CLIENT, CLIENT + 200)]
    assert after == [server if server is made.destinations[1] else None for server in before]
    made.schedule_flags = 1
    assert all(scheduler.choose(source, 1, VIRTUAL) is made.destinations[1] for source in range(CLIENT, CLIENT + 200))


@given(weights=WEIGHTS)
def test_weighted_round_robin_is_exact_over_a_round(weights: list[int]) -> None:
    step = reduce(gcd, weights)
    if not step:
        return
    counts = Counter(sequence("wrr", tuple(weights), 2 * sum(weights) // step))
    assert [counts[chr(65 + at)] for at in range(len(weights))] == [2 * weight // step for weight in weights]


@settings(max_examples=40)
@given(weights=WEIGHTS, name=st.sampled_from(["wlc", "sed", "nq"]))
def test_weights_are_respected_in_the_long_run(weights: list[int], name: str) -> None:
    if not sum(weights):
        return
    rounds = 50
    counts = Counter(sequence(name, tuple(weights), rounds * sum(weights)))
    for at, weight in enumerate(weights):
        assert abs(counts[chr(65 + at)] - rounds * weight) <= len(weights) + 1


@settings(max_examples=60)
@given(
    weights=WEIGHTS, name=st.sampled_from(sorted(SCHEDULERS)), full=st.sets(st.integers(0, 5)), source=st.integers(0)
)
def test_nobody_chooses_a_server_that_drains_or_is_full(
    weights: list[int], name: str, full: set[int], source: int
) -> None:
    made, scheduler = service(name, *weights)
    for at in full:
        if at < len(weights):
            made.destinations[at].overloaded = True
    for step in range(10):
        server = scheduler.choose((source + step) & 0xFFFFFFFF, step, VIRTUAL)
        assert server is None or server.usable
