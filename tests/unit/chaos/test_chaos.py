"""What chaos objects mean: whom they choose, what they make of a pod's network, when schedules act."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.messages.kernel import IptablesRestore, Operation, QdiscsReplace
from podwire.services.chaos.core import amounts, clocks, experiment, network, programming, schedules, selecting
from podwire.services.chaos.core import pods as pod_chaos
from podwire.services.chaos.core.kinds import BadChaos
from podwire.services.chassis.chance import RandomStream

Json = dict[str, Any]
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
EMPTY: dict[programming.Family, str] = {"ipv4": "", "ipv6": ""}


def pod(name: str, node: str = "node-1", namespace: str = "default", **labels: str) -> Json:
    meta = {"name": name, "namespace": namespace, "labels": labels, "annotations": {"team": name[:1]}, "uid": name}
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "nginx"}]}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


PODS = [pod("a1", app="a"), pod("a2", "node-2", app="a"), pod("b1", app="b"), pod("c1", namespace="other", app="a")]
NODES = {name: {"metadata": {"labels": {"zone": name[-1]}}} for name in ("node-1", "node-2")}


def chosen(selector: Json, mode: str = "all", value: str = "", seed: int = 1) -> list[str]:
    spec = {"selector": selector, "mode": mode, "value": value}
    found = selecting.select(spec, "default", PODS, NODES, RandomStream(seed))
    return [each["metadata"]["name"] for each in found]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({}, ["a1", "a2", "b1"]),
        ({"labelSelectors": {"app": "a"}}, ["a1", "a2"]),
        ({"labelSelectors": {"app": "a"}, "namespaces": ["default", "other"]}, ["a1", "a2", "c1"]),
        ({"expressionSelectors": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, ["b1"]),
        ({"annotationSelectors": {"team": "b"}}, ["b1"]),
        ({"fieldSelectors": {"metadata.name": "a2"}}, ["a2"]),
        ({"nodes": ["node-2"]}, ["a2"]),
        ({"nodeSelectors": {"zone": "1"}}, ["a1", "b1"]),
        ({"pods": {"other": ["c1"], "default": ["b1"]}, "labelSelectors": {"app": "none"}}, ["b1", "c1"]),
        ({"podPhaseSelectors": ["Running"]}, ["a1", "a2", "b1"]),
    ],
)
def test_selectors(selector: Json, names: list[str]) -> None:
    assert chosen(selector) == names


@given(seed=st.integers(0, 1000))
def test_modes_choose_as_many_as_they_say(seed: int) -> None:
    assert len(chosen({}, "one", seed=seed)) == 1
    assert len(chosen({}, "fixed", "2", seed)) == 2
    assert len(chosen({}, "fixed", "9", seed)) == 3
    assert len(chosen({}, "fixed-percent", "67", seed)) == 2


def test_random_max_percent_chooses_up_to_its_share() -> None:
    counts = []
    for seed in range(60):
        try:
            counts.append(len(chosen({}, "random-max-percent", "99", seed)))
        except BadChaos:
            counts.append(0)
    assert set(counts) == {0, 1, 2}


@pytest.mark.parametrize(
    ("selector", "mode", "value", "text"),
    [
        ({"labelSelectors": {"app": "x"}}, "all", "", "no pod is selected"),
        ({}, "fixed", "x", "value 'x': mode fixed needs a number"),
        ({}, "fixed-percent", "101", "value '101': mode fixed-percent needs a number from 0 to 100"),
        ({}, "fixed", "0", "cannot select any pod as value below or equal 0"),
        ({"fieldSelectors": {"spec.foo": "x"}}, "all", "", "selector.fieldSelectors 'spec.foo': one of"),
    ],
)
def test_who_chooses_nobody_is_told_why(selector: Json, mode: str, value: str, text: str) -> None:
    with pytest.raises(BadChaos) as problem:
        chosen(selector, mode, value)
    assert text in str(problem.value)


def chaos(name: str = "slow", **spec: Any) -> Json:
    meta = {"name": name, "namespace": "default", "uid": name, "creationTimestamp": "2023-11-14T22:13:20Z"}
    return {"metadata": meta, "spec": {"mode": "all", "selector": {}, **spec}}


def records(*targets: str) -> list[Json]:
    sources = [experiment.new_record("default/a1", network.SOURCE)]
    return sources + [experiment.new_record(f"default/{name}", network.TARGET) for name in targets]


ADDRESSES = {"default/a1": ("10.244.1.2",), "default/a2": ("10.244.2.2", "fd00::2"), "default/b1": ("10.244.1.3",)}


def made(*experiments: tuple[Json, list[Json]], of: str = "default/a1") -> list[Operation]:
    return programming.operations("n", network.wanted(of, experiments, ADDRESSES), EMPTY, "")


def tree(steps: list[Operation]) -> list[str]:
    """The queue disciplines as tc would be told."""
    [found] = [step for step in steps if isinstance(step, QdiscsReplace)]
    return [f"{each.parent} {each.handle} {each.kind}" for each in found.qdiscs]


def rules(steps: list[Operation], family: str = "ipv4") -> list[str]:
    texts = [step.text for step in steps if isinstance(step, IptablesRestore) and step.family == family]
    return [line for text in texts for line in text.splitlines() if line.startswith("-A") and "CHAOS" not in line]


def test_disciplines_stand_as_the_chaos_daemon_places_them() -> None:
    """Two for everybody, two for targets: the example in chaos-mesh's pkg/chaosdaemon/tc_server.go."""
    delay = {"action": "delay", "delay": {"latency": "50ms"}}
    everybody = [(chaos(name, **delay), records()) for name in ("one", "two")]
    some = [(chaos("three", **delay), records("a2")), (chaos("four", **delay), records("b1"))]
    steps = made(*everybody, *some)
    assert tree(steps) == [
        "root 1: netem",
        "1: 2: netem",
        "2: 3: prio",
        "3:1 4: sfq",
        "3:2 5: sfq",
        "3:3 6: sfq",
        "3:4 7: netem",
        "3:5 8: netem",
    ]
    first, second = rules(steps)
    assert first.startswith("-A TC-TABLES-0 -o eth0 -m set --match-set three_") and first.endswith("--set-class 3:4")
    assert second.startswith("-A TC-TABLES-1 -o eth0 -m set --match-set four_") and second.endswith("--set-class 3:5")


@pytest.mark.parametrize(
    ("direction", "source", "target"),
    [
        ("to", ["OUTPUT"], ["INPUT"]),
        ("from", ["INPUT"], ["OUTPUT"]),
        ("both", ["OUTPUT", "INPUT"], ["INPUT", "OUTPUT"]),
    ],
)
def test_a_partition_drops_on_both_sides(direction: str, source: list[str], target: list[str]) -> None:
    cut = (chaos("cut", action="partition", direction=direction), records("a2"))
    for of, hooks in (("default/a1", source), ("default/a2", target)):
        found = [each.hook for each in network.wanted(of, [cut], ADDRESSES).partitions]
        assert found == hooks
    assert network.wanted("default/b1", [cut], ADDRESSES).is_whole


def test_a_partition_from_everybody_names_nobody() -> None:
    [rule] = rules(made((chaos("cut", action="partition"), records())))
    assert rule.startswith("-A OUTPUT/cut_") and rule.endswith("_tgt -o eth0 -j DROP")


def test_names_fit_and_differ() -> None:
    long = [chaos(f"{'x' * 60}-{index}", action="partition") for index in range(2)]
    found = network.wanted("default/a1", [(each, records("a2")) for each in long], ADDRESSES)
    names = [each.name for each in found.sets] + [each.chain for each in found.partitions]
    assert len(set(names)) == 4 and all(len(name) <= 28 for name in names)


def test_external_targets_are_targets() -> None:
    cut = chaos("cut", action="partition", externalTargets=["1.1.1.1", "10.0.0.0/8"])
    [made_set] = network.wanted("default/a1", [(cut, records())], ADDRESSES).sets
    assert made_set.networks == ("1.1.1.1/32", "10.0.0.0/8")
    with pytest.raises(BadChaos, match="names are not resolved"):
        network.check(chaos("cut", action="partition", externalTargets=["www.example.com"])["spec"])


def test_leftovers_are_taken_away() -> None:
    saved = (
        "*filter\n:INPUT ACCEPT [0:0]\n:CHAOS-INPUT - [0:0]\n:INPUT/cut_1_tgt - [0:0]\n"
        "[0:0] -A INPUT -j CHAOS-INPUT\n[0:0] -A INPUT -p tcp -j ACCEPT\nCOMMIT\n"
    )
    steps = programming.operations("n", network.PodNetwork(), EMPTY | {"ipv4": saved}, "create cut_1_tgt4 hash:net\n")
    first = steps[0]
    assert isinstance(first, IptablesRestore)
    assert first.text.splitlines()[3:] == [
        "-D INPUT -j CHAOS-INPUT",
        "-X CHAOS-INPUT",
        "-X INPUT/cut_1_tgt",
        "COMMIT",
    ]


@pytest.mark.parametrize(
    ("text", "octets"), [("1mbps", 1 << 20), ("100 kbps", 102_400), ("8bit", 1), ("1Mbit", 125_000), ("2gbps", 2 << 30)]
)
def test_rates(text: str, octets: int) -> None:
    assert amounts.octets_a_second("rate", text) == octets


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"action": "delay", "delay": {"latency": "soon"}}, "spec.delay.latency 'soon': a duration is needed"),
        ({"action": "loss", "loss": {"loss": "101"}}, "spec.loss.loss '101': a percentage from 0 to 100 is needed"),
        ({"action": "bandwidth", "bandwidth": {"rate": "fast"}}, "spec.bandwidth.rate 'fast': a rate in bps"),
        ({"action": "corrupt"}, "spec.corrupt: is needed for the action corrupt"),
        ({"action": "netem"}, "spec.delay, loss, duplicate or corrupt: one of them is needed"),
        ({"action": "partition", "direction": "both"}, "spec.direction 'both': needs a target"),
    ],
)
def test_what_makes_no_sense_is_named(spec: Json, text: str) -> None:
    with pytest.raises(BadChaos) as problem:
        network.check(spec)
    assert text in str(problem.value)


def test_images_come_back_as_they_were() -> None:
    broken, failing = pod("a1"), chaos("fail", action="pod-failure")
    patch = pod_chaos.failing(failing, broken, "pause")
    assert patch["spec"]["containers"] == [{"name": "main", "image": "pause"}]
    broken["metadata"]["annotations"] |= patch["metadata"]["annotations"]
    back = pod_chaos.recovering(failing, broken)
    assert back is not None and back["spec"]["containers"] == [{"name": "main", "image": "nginx"}]
    assert pod_chaos.recovering(chaos("other"), broken) is None


def schedule(**spec: Any) -> Json:
    made_of = {"schedule": "* * * * *", "type": "NetworkChaos", "networkChaos": {"action": "loss"}, "historyLimit": 1}
    return chaos("often") | {"spec": made_of | spec}


def child(name: str, at: str, *, ended: bool) -> Json:
    spec = {"action": "loss", "duration": "1s" if ended else "1000h"}
    value = chaos(name) | {"spec": spec, "kind": "NetworkChaos"}
    value["metadata"]["creationTimestamp"] = at
    value["status"] = {"experiment": {"containerRecords": []}}
    return value


def test_a_schedule_makes_the_last_time_that_is_due_and_says_the_next() -> None:
    turn = schedules.decide(schedule(), [], NOW + 150 * SECOND)
    assert turn.status is not None and turn.status["time"] == "2023-11-14T22:15:00Z"
    assert [each["spec"] for each in turn.create] == [{"action": "loss"}]
    assert turn.again_at == NOW + 160 * SECOND


def test_a_schedule_may_count_from_the_last() -> None:
    turn = schedules.decide(schedule(schedule="@every 40s"), [], NOW + 90 * SECOND)
    assert turn.status is not None and turn.status["time"] == "2023-11-14T22:14:40Z"
    assert turn.again_at == NOW + 120 * SECOND


def test_a_schedule_forbids_and_forgets() -> None:
    running = child("running", "2023-11-14T22:13:30Z", ended=False)
    old = [child(f"old-{second}", f"2023-11-14T22:13:2{second}Z", ended=True) for second in range(3)]
    turn = schedules.decide(schedule(), [running, *old], NOW + 90 * SECOND)
    assert turn.create == []
    assert turn.says == [("Forbid", "Forbid spawning new job because: running is still running")]
    assert [each["metadata"]["name"] for each in turn.delete] == ["old-0", "old-1"]
    assert schedules.decide(schedule(concurrencyPolicy="Allow"), [running], NOW + 90 * SECOND).create != []


def test_a_schedule_that_cannot_be_read_is_named() -> None:
    with pytest.raises(BadChaos, match=r"spec.schedule 'sometimes'"):
        schedules.decide(schedule(schedule="sometimes"), [], NOW)
    with pytest.raises(BadChaos, match=r"spec.podChaos: is needed for the type PodChaos"):
        schedules.decide(schedule(type="PodChaos"), [], NOW + 90 * SECOND)


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("-10m100ns", -600 * SECOND - 100), ("1h30m", 5400 * SECOND), ("+1.5s", 1_500_000_000)]
)
def test_how_far_a_clock_goes_wrong(text: str, nanoseconds: int) -> None:
    assert clocks.offset({"timeOffset": text}) == nanoseconds


@pytest.mark.parametrize("spec", [{"timeOffset": "soon"}, {"timeOffset": "--1m"}, {"timeOffset": ""}])
def test_what_is_no_offset_is_refused(spec: Json) -> None:
    with pytest.raises(BadChaos, match=r"spec\.timeOffset .*: a duration with its sign is needed"):
        clocks.check(spec)


def test_only_the_wall_clock_is_shifted() -> None:
    clocks.check({"timeOffset": "1s", "clockIds": ["CLOCK_REALTIME"]})
    with pytest.raises(BadChaos, match=r"spec\.clockIds 'CLOCK_MONOTONIC': only CLOCK_REALTIME can be shifted"):
        clocks.check({"timeOffset": "1s", "clockIds": ["CLOCK_MONOTONIC"]})


def test_offsets_add_up() -> None:
    mine, other = experiment.new_record("d/a/main", "."), experiment.new_record("d/b/main", ".")
    held = [({"spec": {"timeOffset": "-1m"}}, [mine]), ({"spec": {"timeOffset": "90s"}}, [mine, other])]
    assert clocks.wanted("d/a/main", held) == 30 * SECOND
    assert clocks.wanted("d/b/main", held) == 90 * SECOND
    assert clocks.wanted("d/c/main", held) == 0
