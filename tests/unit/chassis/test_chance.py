"""Chance: SplitMix64 as published, derived streams, draws without bias."""

import uuid  # noqa: TID251 - the oracle of the ids' form

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.chassis.chance import RandomStream, below, choose, derive, hexadecimal, name_suffix, uuid4

# The first values of Vigna's splitmix64.c for seed 1234567, as published with Rosetta Code's "Pseudo-random
# numbers/Splitmix64".
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def test_the_stream_is_splitmix64() -> None:
    stream = RandomStream(1234567)
    assert [stream.getrandbits(64) for _ in PUBLISHED] == PUBLISHED


@given(seed=st.integers(0, 2**64), bits=st.integers(0, 300))
def test_a_draw_has_at_most_its_bits(seed: int, bits: int) -> None:
    assert RandomStream(seed).getrandbits(bits).bit_length() <= bits


@given(seed=st.integers(0, 2**64), bound=st.integers(1, 2**70))
def test_below_stays_below(seed: int, bound: int) -> None:
    assert 0 <= below(RandomStream(seed), bound) < bound


def test_below_reaches_every_value_about_as_often() -> None:
    stream = RandomStream(1)
    counts = [0] * 5
    for _ in range(5000):
        counts[below(stream, 5)] += 1
    assert min(counts) > 900 and max(counts) < 1100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "kubelet", "node-1"), (1, "kubelet", "node-2")),
        ((1, "kubelet", "node-1"), (2, "kubelet", "node-1")),
        ((1, "ab", "c"), (1, "a", "bc")),
        ((1, "a"), (1, "a", "")),
    ],
)
def test_other_names_or_seeds_give_other_streams(one: tuple[int, str], other: tuple[int, str]) -> None:
    assert derive(*one).getrandbits(64) != derive(*other).getrandbits(64)
    assert derive(*one).getrandbits(64) == derive(*one).getrandbits(64)


@given(seed=st.integers(0, 2**64))
def test_ids_have_their_forms(seed: int) -> None:
    stream = RandomStream(seed)
    made = uuid4(stream)
    assert str(uuid.UUID(made)) == made and uuid.UUID(made).version == 4 and uuid.UUID(made).variant == uuid.RFC_4122
    assert len(hexadecimal(stream, 8)) == 8 and int(hexadecimal(stream, 8), 16) >= 0
    assert len(name_suffix(stream)) == 5 and not set(name_suffix(stream)) & set("aeiou013")
    assert choose(stream, "x") == "x"
