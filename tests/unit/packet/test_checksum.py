"""The checksum against its textbook definition, and the update against a full recomputation."""

from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.packet.checksum import internet_checksum, updated_checksum


def textbook(octets: bytes) -> int:
    total = 0
    for high, low in zip(*[iter(octets + b"\0" * (len(octets) % 2))] * 2, strict=True):
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=200))
def test_checksum_is_rfc_1071(octets: bytes) -> None:
    assert internet_checksum(octets) == textbook(octets)


def test_rfc_1071_example() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@given(octets=st.binary(min_size=8, max_size=60), new=st.integers(0, 0xFFFFFFFF))
def test_update_equals_recomputation(octets: bytes, new: int) -> None:
    octets = b"\x45\x00" + octets  # a checksum of all-zero words is the one ambiguous case, and no header is
    changed = octets[:2] + new.to_bytes(4) + octets[6:]
    assert updated_checksum(textbook(octets), int.from_bytes(octets[2:6]), new) == textbook(changed)
