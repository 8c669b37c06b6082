"""Chance as an argument: each component draws from its own stream, derived from (seed, component, instance).

SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Only `getrandbits` is drawn
from a stream; everything else is derived here, so that a run is the same on every CPython.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

_WORD: Final = 64
_MASK: Final = (1 << _WORD) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


class RandomBits(Protocol):
    """All that code may ask of chance."""

    def getrandbits(self, k: int, /) -> int:
        """A whole number of `k` random bits."""
        ...


class RandomStream:
    """A seeded stream of random bits."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def getrandbits(self, k: int, /) -> int:
        """A whole number of `k` random bits."""
        if k <= _WORD:
            self._state = mixed = (self._state + _GAMMA) & _MASK
            mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
            return (mixed ^ (mixed >> 31)) & ((1 << k) - 1)
        value, have = 0, 0
        while have < k:
            value |= self.getrandbits(_WORD) << have
            have += _WORD
        return value & ((1 << k) - 1)


def derive(seed: int, *names: str) -> RandomStream:
    """The stream of one component and instance; the same names give the same stream for the same seed."""
    text = "\0".join((str(seed), *names)).encode()
    return RandomStream(int.from_bytes(hashlib.sha256(text).digest()[:8]))


def below(random: RandomBits, bound: int) -> int:
    """A whole number from 0 to bound - 1 (bound > 0), without bias."""
    bits = bound.bit_length()
    while (value := random.getrandbits(bits)) >= bound:
        pass
    return value


def choose[T](random: RandomBits, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[below(random, len(options))]


def hexadecimal(random: RandomBits, digits: int) -> str:
    """`digits` random hexadecimal digits."""
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def name_suffix(random: RandomBits, length: int = 5) -> str:
    """A generated name's suffix in Kubernetes' vowel-free alphabet (apimachinery `util/rand.String`)."""
    return "".join(choose(random, _LETTERS) for _ in range(length))


def uuid4(random: RandomBits) -> str:
    """A random UUID (RFC 9562, version 4)."""
    bits = random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
