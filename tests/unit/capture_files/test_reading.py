"""pcap and pcapng from strangers: what scapy writes is read, what lies is refused by name, nothing else happens."""

import io
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapReader, PcapWriter

from podwire.scripts.capture_files import writing
from podwire.scripts.capture_files.pcapng_blocks import build_block, build_options
from podwire.scripts.capture_files.reading import read_packets
from podwire.scripts.capture_files.recorded import ETHERNET, LARGEST_PACKET, CaptureFileError, RecordedPacket

FRAMES = [bytes(range(60)), b"\xff" * 14, b"\x02" * 1514]


def by_scapy(kind: type) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        writer = kind(file.name)
        for number, frame in enumerate(FRAMES):
            packet = Ether(frame)
            packet.time = 1000 + number
            writer.write(packet)
        writer.close()
        return Path(file.name).read_bytes()


def pcap(order: str, magic: int, *packets: tuple[int, int, int, int, bytes], link: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(f"{order}IIII", *fields) + data for *fields, data in packets)


def pcapng(*blocks: bytes) -> bytes:
    return writing.section() + b"".join(blocks)


INTERFACE = writing.interface("eth0", "a device")


@pytest.mark.parametrize("kind", [PcapWriter, PcapNgWriter])
def test_what_scapy_writes(kind: type) -> None:
    found = list(read_packets(by_scapy(kind)))
    assert [packet.data for packet in found] == FRAMES
    assert [packet.link_type for packet in found] == [ETHERNET] * 3
    assert [packet.time // 1_000_000_000 for packet in found] == [1000, 1001, 1002]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 5_000), (0xA1B23C4D, 5_000_000)])
def test_either_byte_order_and_resolution(order: str, magic: int, fraction: int) -> None:
    [packet] = read_packets(pcap(order, magic, (7, fraction, 3, 90, b"abc"), link=101))
    assert packet == RecordedPacket(7_005_000_000, 101, b"abc", 90)


frames = st.binary(max_size=80)


@given(st.lists(st.tuples(frames, st.integers(0, 2**63), st.text(max_size=20), st.sampled_from([0, 1, 2])), max_size=5))
def test_what_is_written_is_read_by_us_and_by_scapy(
    packets: list[tuple[bytes, int, str, int]],
) -> None:
    data = pcapng(INTERFACE, *(writing.packet(0, time, frame, way, text) for frame, time, text, way in packets))
    assert [(found.data, found.time) for found in read_packets(data)] == [(frame, time) for frame, time, *_ in packets]
    with PcapReader(io.BytesIO(data)) as reader:
        assert [bytes(packet.original) for packet in reader] == [frame for frame, *_ in packets]


def test_a_time_resolution_in_powers_of_two_and_an_offset() -> None:
    options = build_options([(9, b"\x8a"), (14, struct.pack("<q", 100))])
    described = build_block(1, struct.pack("<HHI", 1, 0, 0) + options)
    packet = build_block(6, struct.pack("<IIIII", 0, 0, 1536, 1, 1) + b"x\0\0\0")
    [found] = read_packets(pcapng(described, packet))
    assert found.time == 101_500_000_000


def test_a_simple_packet_is_cut_at_the_snap_length() -> None:
    described = build_block(1, struct.pack("<HHI", 1, 0, 4))
    [found] = read_packets(pcapng(described, build_block(3, struct.pack("<I", 9) + b"abcd")))
    assert (found.data, found.original_length) == (b"abcd", 9)


def test_a_second_section_has_interfaces_of_its_own() -> None:
    packet = writing.packet(0, 0, b"x")
    with pytest.raises(CaptureFileError, match="packet 2: interface 0 was not described"):
        list(read_packets(pcapng(INTERFACE, packet) + pcapng(packet)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither pcap nor pcapng: it begins with nothing"),
        (b"\x7fELF", "neither pcap nor pcapng: it begins with 7f454c46"),
        (pcap("<", 0xA1B2C3D4)[:20], "not a pcap file"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 1, 0, 0, 0, 9, 1), "pcap version 1.0: 2.4 is needed"),
        (pcap("<", 0xA1B2C3D4, (0, 0, 5, 5, b"abc")), "packet 1: 5 bytes, of which 3 are there"),
        (pcap("<", 0xA1B2C3D4, (0, 0, 2**32 - 1, 5, b"abc")), f"packet 1: {2**32 - 1} bytes; at most {LARGEST_PACKET}"),
        (pcap("<", 0xA1B2C3D4, (0, 0, 0, 0, b"")) + b"\0\0", "packet 2: truncated header"),
        (b"\x0a\x0d\x0d\x0a" + bytes(20), "byte 0: not the header of a pcapng section"),
        (pcapng(b"\1\0\0\0\x0c\0\0\0"), "truncated block"),
        (pcapng(b"\1\0\0\0\xff\xff\xff\0" + bytes(20)), "a block cannot have 16777215 bytes"),
        (pcapng(struct.pack("<III", 1, 13, 13)), "a block cannot have 13 bytes"),
        (pcapng(struct.pack("<IIII", 1, 16, 0, 12)), "says 16 bytes at its begin and 12 at its end"),
        (pcapng(build_block(1, b"1234")), "truncated interface description"),
        (pcapng(INTERFACE, build_block(6, b"1234")), "packet 1: truncated block"),
        (pcapng(INTERFACE, build_block(3, b"")), "packet 1: truncated block"),
        (pcapng(INTERFACE, build_block(6, struct.pack("<IIIII", 0, 0, 0, 99, 1))), "packet 1: 99 bytes, of which 0"),
        (pcapng(build_block(1, struct.pack("<HHI", 1, 0, 0) + build_options([(9, b"\x7f")]))), "units of 10"),
        (build_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "pcapng version 2: 1 is needed"),
        (build_block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)), "truncated section header"),
    ],
)
def test_what_lies_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CaptureFileError, match=message):
        list(read_packets(data))


def read_or_refuse(data: bytes) -> None:
    try:
        found = list(read_packets(data))
    except CaptureFileError:
        return
    assert sum(len(packet.data) for packet in found) <= len(data)


MAGICS = [b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", writing.section(), pcapng(INTERFACE), b""]


@given(st.sampled_from(MAGICS), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(begin: bytes, rest: bytes) -> None:
    read_or_refuse(begin + rest)


WHOLE = [by_scapy(PcapWriter), by_scapy(PcapNgWriter), pcapng(INTERFACE, writing.packet(0, 9, b"abc", 1, "why"))]


@given(st.sampled_from(WHOLE), st.data())
def test_files_with_bytes_changed_or_cut_are_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(changed[: data.draw(st.integers(0, len(whole)))]))
