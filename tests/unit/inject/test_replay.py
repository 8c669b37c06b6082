"""Packets from capture files: sent as they are, from files that may lie."""

import struct
from pathlib import Path

import pytest

from podwire.proto.messages.machine import RawPacket
from podwire.scripts.capture_files import writing
from podwire.scripts.errors import UserError
from podwire.scripts.inject import replay
from podwire.scripts.inject.replay import read_file, replayed


def pcapng(link_type: int, *frames: bytes) -> bytes:
    packets = b"".join(writing.packet(0, 0, frame) for frame in frames)
    return writing.section() + writing.interface("x", "", link_type) + packets


@pytest.mark.parametrize(("link_type", "link"), [(1, "ethernet"), (101, "ip"), (228, "ip"), (229, "ip")])
def test_link_types(link_type: int, link: str) -> None:
    assert list(replayed(pcapng(link_type, b"one", b""), "f")) == [
        RawPacket(data=b"one", link=link),  # type: ignore[arg-type]  # one of the two
        RawPacket(data=b"", link=link),  # type: ignore[arg-type]  # as above
    ]


def test_what_cannot_be_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--pcap f: packet 1 has link type 127; Ethernet \(1\), raw IP"):
        list(replayed(pcapng(127, b"x"), "f"))
    with pytest.raises(UserError, match="--pcap f: neither pcap nor pcapng"):
        list(replayed(b"hello", "f"))
    lying = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 0, 0, 9, 9)
    with pytest.raises(UserError, match="--pcap f: packet 1: 9 bytes, of which 0 are there"):
        list(replayed(lying, "f"))
    monkeypatch.setattr(replay, "MOST", 1)
    with pytest.raises(UserError, match="--pcap f: more than 1 packets"):
        list(replayed(pcapng(1, b"x", b"y"), "f"))


def test_files_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="nothing: there is no such file"):
        read_file(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="there is no such file"):
        read_file(str(tmp_path))
    with pytest.raises(UserError, match="--pcap"):
        read_file("a\0b")
    file = tmp_path / "large"
    file.write_bytes(b"12345")
    assert read_file(str(file)) == b"12345"
    monkeypatch.setattr(replay, "LARGEST_FILE", 4)
    with pytest.raises(UserError, match="5 bytes; at most 4 can be replayed"):
        read_file(str(file))
