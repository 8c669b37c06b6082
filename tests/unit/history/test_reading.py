"""Where a copy of a log is read, and how long that may take."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.errors import UserError
from podwire.scripts.history.reading import NoLog, Source, read, read_stopped


class Usage(NamedTuple):
    """What shutil.disk_usage tells."""

    total: int
    used: int
    free: int


def a_folder(path: Path) -> ClusterFolder:
    """A folder with something of the size of a log in it."""
    folder = ClusterFolder(path)
    (folder.nats / "jetstream").mkdir(parents=True)
    (folder.nats / "jetstream" / "1.blk").write_bytes(bytes(5000))
    (folder.path / "cluster.json").write_text('{"workers": 2, "ip_family": "dual"}')
    return folder


def test_without_room_for_a_copy_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_folder(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(5000, 1000, 4000))
    with pytest.raises(UserError, match=r"nats: the event log is read from a copy, and 5,000 bytes are not free in /"):
        read_stopped(folder)


def test_a_folder_without_a_log_is_told_from_one_without_a_description(tmp_path: Path) -> None:
    with pytest.raises(NoLog, match=r"there is no event log$"):
        read(Source(str(tmp_path)))
    folder = a_folder(tmp_path)
    (folder.path / "cluster.json").unlink()
    with pytest.raises(UserError, match=r"cluster.json cannot be read: it says how many nodes the cluster has"):
        read(Source(str(tmp_path)))


def test_a_log_of_another_making_is_none(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    with pytest.raises(NoLog, match=r"there is no event log that can be read$"):
        read_stopped(folder)
    assert (folder.nats / "jetstream" / "1.blk").read_bytes() == bytes(5000)
    assert not (folder.nats / "nats.conf").exists()
