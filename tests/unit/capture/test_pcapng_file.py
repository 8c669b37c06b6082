"""What a capture writes: records in order, an interface a device, comments that say why packets died."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.messages import codec
from podwire.proto.messages.capture import LARGEST_BLOCK, Blocks, Captured, Seen, build_block
from podwire.scripts.capture.in_order import MOST, WINDOW, InOrder, Placed
from podwire.scripts.capture.pcapng_file import PcapngFile, comment_of
from podwire.scripts.capture_files.pcapng_blocks import INTERFACE, STATISTICS, read_blocks, read_options
from podwire.scripts.capture_files.reading import read_packets


def frame(time: int, device: str = "eth0", netns: str = "", **more: object) -> Captured:
    return Captured(time, netns, device, False, b"frame", **more)  # type: ignore[arg-type]  # a table of plain values


FAR = 1 << 62


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9))))
def test_records_come_out_by_time_and_equal_ones_as_they_came(given_: list[tuple[str, int]]) -> None:
    buffer = InOrder()
    for node, time in given_:
        buffer.put(node, frame(time))
    told = [(placed.node, placed.record.time) for placed in buffer.due(FAR)]
    assert told == sorted(given_, key=lambda each: each[1])


def test_a_record_waits_for_earlier_ones_of_other_machines() -> None:
    buffer = InOrder()
    buffer.put("a", frame(WINDOW))
    assert buffer.due(WINDOW + WINDOW - 1) == []
    buffer.put("b", frame(1))
    assert [placed.node for placed in buffer.due(2 * WINDOW)] == ["b", "a"]


def test_a_flood_does_not_wait_without_bound() -> None:
    buffer = InOrder()
    for number in range(MOST + 10):
        buffer.put("a", frame(number))
    assert len(buffer.due(0)) == 10


def test_one_interface_a_device_and_one_for_the_dead() -> None:
    file = PcapngFile()
    records = [
        ("node-1", frame(1)),
        ("node-1", frame(2, "cni0")),
        ("node-1", frame(3)),
        ("node-2", frame(4)),
        ("node-2", frame(5, "eth0", "default/web")),
        ("node-2", frame(6, "eth0", "default/web", reason="NO_SOCKET", detail="no TCP socket on port 9", trace="t")),
    ]
    data = file.begin() + b"".join(file.add(Placed(node, record)) for node, record in records)
    data += file.end([("node-1", Seen("", "eth0", 2, 7)), ("node-1", Seen("", "quiet", 0, 0))])
    interfaces = [block for block in read_blocks(data) if block.type == INTERFACE]
    names = [dict(read_options(block.body, 8, block.order))[2].decode() for block in interfaces]
    assert names == [
        "node-1/eth0", "node-1/cni0", "node-2/eth0", "node-2/default/web/eth0", "node-2/default/web/dropped"
    ]  # fmt: skip  # a table
    assert [packet.time for packet in read_packets(data)] == [1, 2, 3, 4, 5, 6]
    assert (file.frames, file.drops, file.lost, file.devices) == (5, 1, 7, 4)
    [counted] = [block for block in read_blocks(data) if block.type == STATISTICS]
    options = dict(read_options(counted.body, 12, counted.order))
    assert [int.from_bytes(options[code], "little") for code in (4, 5)] == [2, 7]


@pytest.mark.parametrize(
    ("record", "comment"),
    [
        (frame(1), ""),
        (frame(1, trace="t7"), "trace t7"),
        (frame(1, reason="NEIGH_FAILED"), "dropped at eth0: NEIGH_FAILED"),
        (frame(1, "", reason="IP_INNOROUTES", detail="no route"), "dropped: IP_INNOROUTES (no route)"),
        (frame(1, reason="TCP_CSUM", trace="t7"), "dropped at eth0: TCP_CSUM; trace t7"),
    ],
)
def test_comments(record: Captured, comment: str) -> None:
    assert comment_of(record) == comment


@given(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=4), st.lists(st.integers(1, 40)))
def test_blocks_arrive_whole_however_they_are_cut(batches: list[list[int]], cuts: list[int]) -> None:
    whole = b"".join(build_block([frame(time) for time in batch]) for batch in batches)
    blocks, found, at = Blocks(), [], 0
    for size in [*cuts, len(whole)]:
        found += blocks.take(whole[at : at + size])
        at += size
    assert found == [frame(time) for batch in batches for time in batch]


@given(st.binary(max_size=60))
def test_bytes_that_are_no_blocks_are_refused_or_awaited(data: bytes) -> None:
    with suppress(codec.ForeignMessage):
        assert len(list(Blocks().take(data))) <= len(data)


def test_a_block_that_is_too_large_is_refused_before_it_is_there() -> None:
    with pytest.raises(codec.ForeignMessage, match=f"at most {LARGEST_BLOCK} are allowed"):
        list(Blocks().take((LARGEST_BLOCK + 1).to_bytes(4)))
