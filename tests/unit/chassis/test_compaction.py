"""What compaction removes: checked against a replay of what anybody may still ask for."""

from hypothesis import given
from hypothesis import strategies as st
from simulated import pod_key

from podwire.proto.messages.events import Change
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.eventlog.compaction import Revision, removals

LEASE = ObjectKey("coordination.k8s.io", "leases", "kube-node-lease", "node-1")
KEYS = (pod_key("a"), pod_key("b"), pod_key("c"), LEASE)
State = dict[ObjectKey, int]


@st.composite
def histories(draw: st.DrawFn) -> list[Revision]:
    """Whole histories: an object is added, modified, deleted, and may be added again."""
    alive: dict[ObjectKey, None] = {}
    history: list[Revision] = []
    for revision in range(1, draw(st.integers(0, 30)) + 1):
        key = draw(st.sampled_from(KEYS))
        change: Change = "ADDED"
        if key in alive:
            change = draw(st.sampled_from(("MODIFIED", "DELETED")))
        history.append(Revision(key, revision, change))
        if change == "DELETED":
            del alive[key]
        else:
            alive[key] = None
    return history


def compacted(history: list[Revision], floor: int) -> list[Revision]:
    before = {removal.key: removal.before for removal in removals(history, floor, len(history))}
    return [entry for entry in history if entry.revision >= before.get(entry.key, 0)]


def state_at(history: list[Revision], revision: int, keys: tuple[ObjectKey, ...] = KEYS) -> State:
    state: State = {}
    for entry in history:
        if entry.revision <= revision and entry.key in keys:
            state.pop(entry.key, None)
            if entry.change != "DELETED":
                state[entry.key] = entry.revision
    return state


@given(history=histories(), floor=st.integers(0, 35))
def test_the_state_at_every_revision_from_the_floor_on_stays(history: list[Revision], floor: int) -> None:
    floor = min(floor, len(history))
    left = compacted(history, floor)
    for revision in range(floor, len(history) + 1):
        assert state_at(left, revision, KEYS[:3]) == state_at(history, revision, KEYS[:3])
    assert state_at(left, len(history)) == state_at(history, len(history)), "the last state of every kind stays"


@given(history=histories(), floor=st.integers(0, 35))
def test_every_event_above_the_floor_stays(history: list[Revision], floor: int) -> None:
    wanted = [entry for entry in history if entry.revision > floor and entry.key != LEASE]
    assert [entry for entry in compacted(history, floor) if entry in wanted] == wanted


@given(history=histories(), floor=st.integers(0, 35))
def test_no_more_than_needed_is_kept(history: list[Revision], floor: int) -> None:
    left = compacted(history, floor)
    for key in KEYS:
        limit = len(history) if key == LEASE else floor
        old = [entry for entry in left if entry.key == key and entry.revision <= limit]
        later = [entry for entry in left if entry.key == key and entry.revision > limit]
        assert len(old) <= 1
        assert later or not old or old[0].change != "DELETED", "a tombstone that nobody follows is dropped"


@given(history=histories(), floor=st.integers(0, 35))
def test_compacting_again_removes_nothing(history: list[Revision], floor: int) -> None:
    left = compacted(history, floor)
    assert list(removals(left, floor, len(history))) == []
