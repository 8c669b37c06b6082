"""An exported log: what is read is what was written, or a line says what is wrong."""

import gzip
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

_HEADER = 10
"""Bytes of gzip's header, some of which say nothing of the content (RFC 1952)."""


def test_a_log_comes_back_as_it_was(tmp_path: Path) -> None:
    size = save(tmp_path / "log", LOG)
    assert load(tmp_path / "log") == LOG
    assert size == (tmp_path / "log").stat().st_size
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600  # Secrets are in it
    assert [entry.name for entry in tmp_path.iterdir()] == ["log"]


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_damage_is_seen(tmp_path_factory: pytest.TempPathFactory, position: int, bit: int, cut: bool) -> None:
    path = tmp_path_factory.mktemp("damage") / "log"
    save(path, LOG)
    whole = bytearray(path.read_bytes())
    place = position % len(whole) if cut else _HEADER + position % (len(whole) - _HEADER)
    whole[place] ^= 1 << bit
    path.write_bytes(bytes(whole[:place]) if cut else bytes(whole))
    with pytest.raises(UserError) as refused:
        load(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


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
