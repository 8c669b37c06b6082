"""The schedulers' hashes: hash_32 (include/linux/hash.h), hsiphash of one word (lib/siphash.c, 64-bit machines)."""

from typing import Final

from podwire.proto.packet.addresses import IPV6, is_ipv6

_GOLDEN_RATIO: Final = 0x61C88647
_MASK: Final = (1 << 64) - 1


def folded(address: int) -> int:
    """An IPv6 address' four words as one; an IPv4 address as it is."""
    if not is_ipv6(address):
        return address
    number = address ^ IPV6
    return (number >> 96 ^ number >> 64 ^ number >> 32 ^ number) & 0xFFFFFFFF


def hash_32(value: int, bits: int) -> int:
    """The top bits of a 32-bit product."""
    return (value * _GOLDEN_RATIO & 0xFFFFFFFF) >> (32 - bits)


def hsiphash_word(word: int, key: tuple[int, int]) -> int:
    """SipHash-1-3 of one 32-bit word, cut to 32 bits."""
    v = [0x736F6D6570736575 ^ key[0], 0x646F72616E646F6D ^ key[1], 0x6C7967656E657261 ^ key[0]]
    v.append(0x7465646279746573 ^ key[1])
    tail = 4 << 56 | word
    v[3] ^= tail
    _round(v)
    v[0] ^= tail
    v[2] ^= 0xFF
    for _ in range(3):
        _round(v)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]) & 0xFFFFFFFF


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & _MASK


def _round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & _MASK
    v[1] = _rotated(v[1], 13) ^ v[0]
    v[0] = _rotated(v[0], 32)
    v[2] = (v[2] + v[3]) & _MASK
    v[3] = _rotated(v[3], 16) ^ v[2]
    v[0] = (v[0] + v[3]) & _MASK
    v[3] = _rotated(v[3], 21) ^ v[0]
    v[2] = (v[2] + v[1]) & _MASK
    v[1] = _rotated(v[1], 17) ^ v[2]
    v[2] = _rotated(v[2], 32)
