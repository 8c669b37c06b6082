"""Frames between NICs: one message a (segment, MAC) and loop turn, as MessagePack.

`[frames]`, or `[frames, {index: trace id}]` when some frames are traced. Frames are Ethernet without preamble and FCS.
"""

from collections.abc import Sequence
from typing import Final

import msgpack

LARGEST_FRAME: Final = 65_549
"""Bytes: an Ethernet header and the largest IP packet."""
LARGEST_BATCH: Final = 4096
_NO_TRACES: Final[dict[int, str]] = {}


class WireError(ValueError):
    """A message that is not a batch of frames."""


def encode(frames: Sequence[bytes], traces: dict[int, str]) -> bytes:
    """The bytes of a batch."""
    packed: bytes = msgpack.packb([frames, traces] if traces else [frames])
    return packed


def decode(payload: bytes) -> tuple[list[bytes], dict[int, str]]:
    """Frames, and the trace ids by index. Raises WireError."""
    try:
        value = msgpack.unpackb(payload, strict_map_key=False, max_array_len=LARGEST_BATCH, max_bin_len=LARGEST_FRAME)
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError) as error:
        raise WireError(str(error) or type(error).__name__) from None
    if not isinstance(value, list) or not 1 <= len(value) <= 2 or not isinstance(value[0], list):
        raise WireError("not a batch of frames")
    for frame in value[0]:
        if type(frame) is not bytes:
            raise WireError("a frame is not bytes")
    if len(value) == 1:
        return value[0], _NO_TRACES
    traces = value[1]
    if not isinstance(traces, dict) or not all(
        isinstance(index, int) and isinstance(name, str) for index, name in traces.items()
    ):
        raise WireError("traces are not a map of index to id")
    return value[0], traces
