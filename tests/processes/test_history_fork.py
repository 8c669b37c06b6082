"""A forked folder holds the same log, at the same revisions, on a real NATS server."""

from pathlib import Path

import pytest

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.events import Floor, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.scripts.cluster.folder import Shape
from podwire.scripts.errors import UserError
from podwire.scripts.history.fork import fork, whole
from podwire.scripts.history.log import Log
from podwire.scripts.history.reading import Source, read
from podwire.services.apiserver.core.json_types import pack
from podwire.services.chassis.bus.base import Stored


def written(sequence: int, name: str) -> Stored:
    value = pack({"metadata": {"name": name}})
    event = ObjectEvent(change="ADDED", write_id=name, previous=0, actor="a", time=sequence, object=value)
    return Stored(sequence, subjects.object_events(ObjectKey("", "namespaces", "", name)), codec.encode(event))


FLOOR = Stored(2_000, subjects.FLOOR, codec.encode(Floor(revision=900)))
LOG = Log("born", Shape(5, "dual"), (written(3, "a"), written(900, "b"), written(1_999, "a"), FLOOR), 2_100)


def test_revisions_stay_what_they_were_though_the_log_has_gaps(tmp_path: Path) -> None:
    fork(LOG, str(tmp_path / "new"))
    again = read(Source(str(tmp_path / "new")))
    assert (again.records, again.last, again.floor, again.shape) == (LOG.records, LOG.last, LOG.floor, LOG.shape)
    assert again.birth != LOG.birth


def test_a_fork_before_the_floor_was_raised_still_knows_it(tmp_path: Path) -> None:
    fork(LOG.cut(1_000), str(tmp_path / "new"))
    again = read(Source(str(tmp_path / "new")))
    assert ([event.revision for event in again.events], again.floor, again.last) == ([3, 900], 900, 1_001)


def test_every_revision_is_filled_once() -> None:
    assert [record.sequence for record in whole(LOG)] == list(range(1, 2_101))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(UserError, match="something is there already; name a new folder"):
        fork(LOG, str(tmp_path))
    assert (tmp_path / "kept").read_text() == "mine"
