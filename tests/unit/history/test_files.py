"""An exported log: what is read is what was written, or a line says what is wrong."""

import gzip
from pathlib import Path

import msgspec
import pytest

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.file import load, save
from podwire.scripts.history.log import Log
from podwire.services.chassis.bus.base import Stored

HOP = Hop(trace="t", node="node-1", netns="", sequence=1, time=5, kind="route", summary="IP")
LOG = Log(
    "born", Shape(3, "dual"), (Stored(1, "kube.floor", b"x"), Stored(9, "kube.events.a", b"\x00\xff")), 12, (HOP,)
)


def test_a_log_comes_back_as_it_was(tmp_path: Path) -> None:
    size = save(tmp_path / "log", LOG)
    assert load(tmp_path / "log") == LOG
    assert size == (tmp_path / "log").stat().st_size
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600  # Secrets are in it
    assert [entry.name for entry in tmp_path.iterdir()] == ["log"]


def test_a_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    save(path, LOG)
    whole = path.read_bytes()
    for length in range(len(whole)):
        assert _refused(path, whole[:length]), length


def test_each_bit_that_says_something_is_checked(tmp_path: Path) -> None:
    """The others are the header's time, level and system (RFC 1952) and what fills deflate's last byte (RFC 1951)."""
    path = tmp_path / "log"
    save(path, LOG)
    whole = path.read_bytes()
    header, last_byte = range(3, 10), len(whole) - 9
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        if not _refused(path, bytes(damaged)):
            assert bit // 8 in header or bit // 8 == last_byte, bit
            assert load(path) == LOG, bit


def _refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    refusal = ""
    try:
        load(path)
    except UserError as error:
        refusal = str(error)
    assert not refusal or (str(path) in refusal and "\n" not in refusal)
    return bool(refusal)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is no log that podwire exported ("),
        (b"nothing of the sort", "it is no log that podwire exported, or it is damaged (Not a gzipped file"),
        (gzip.compress(b"\x80", mtime=0), "it is no log that podwire exported (Object missing required field `birth`)"),
        (
            gzip.compress(msgspec.msgpack.encode({"format": "other"}), mtime=0),
            "it is no log that podwire exported (Invalid enum",
        ),
    ],
    ids=["empty", "no gzip", "no fields", "another format"],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(UserError) as refused:
        load(tmp_path / "log")
    assert says in str(refused.value)


def test_a_file_that_is_not_there_or_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--log .*nothing: No such file or directory"):
        load(tmp_path / "nothing")
    with pytest.raises(UserError, match="No such file or directory"):
        save(tmp_path / "no" / "folder", LOG)
