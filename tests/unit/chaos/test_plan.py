"""Plans as files: what they may say, and what is said of those that may not; reports; objects from options."""

import json
from xml.etree import ElementTree

import pytest

from podwire.scripts.chaos.plan import parse_plan
from podwire.scripts.chaos.plan_report import as_json, junit, table
from podwire.scripts.chaos.pod_faults import network, selector
from podwire.scripts.chaos.running import Report, Row
from podwire.scripts.errors import UserError

CHECK = "{name: a, http: {from: debug, url: 'http://my-api'}}"
OBJECT = "{apiVersion: chaos-mesh.org/v1alpha1, kind: NetworkChaos, metadata: {name: x}}"


def test_what_is_left_out_has_defaults() -> None:
    plan = parse_plan(f"name: p\nchecks: [{CHECK}]\nkill: [coredns/0]\n")
    assert (plan.namespace, plan.hold, plan.every, plan.settle) == ("default", "10s", "1s", "30s")
    [check] = plan.checks
    assert check.http is not None and (check.http.status, check.during) == (200, "holds")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"name: p\nchecks: []\nobjects: [{OBJECT}]", "checks: [] shows nothing: at least one is needed"),
        (f"name: p\nchecks: [{CHECK}]", "nothing is broken: one of them is needed"),
        (f"name: p\nchecks: [{CHECK}, {CHECK}]\nkill: [a]", "name 'a' stands there twice"),
        ("name: p\nchecks: [{name: a}]\nkill: [a]", "check 'a': exactly one of http, dns and reach is needed"),
        (f"name: p\nchecks: [{CHECK}]\nkill: [a]\nhold: long", "hold: 'long': a duration above 0 is needed"),
        (f"name: p\nchecks: [{CHECK}]\nobjects: [{{kind: X}}]", "objects: X: metadata.name is needed"),
        (f"name: p\nchecks: [{CHECK}]\nbreak: [a]", "Object contains unknown field `break`"),
        (
            "name: p\nchecks: [{name: a, http: {url: x}}]\nkill: [a]",
            "missing required field `from` - at `$.checks[0].http`",
        ),
        ("checks", "Expected `object`, got `str`"),
        ("a: [", "line 1, column 5: expected the node content, but found '<stream end>'; a YAML plan is needed"),
        ("name: 2026-99-99", "month must be in 1..12; a YAML plan is needed"),
        ("a: 1\n---\na: 2\n", "2 documents; a YAML plan is one"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_plan(text)
    assert said in str(refused.value) and "\n" not in str(refused.value)


REPORT = Report("p", [Row("before", "a", True, "HTTP 200 OK"), Row("during", "a", False, "held in 1 of 5 tries")])


def test_reports() -> None:
    assert table(REPORT).splitlines() == [
        "before  ok      a  HTTP 200 OK",
        "during  FAILED  a  held in 1 of 5 tries",
        "p: 1 failed",
    ]
    assert json.loads(as_json(REPORT))["checks"][1] == {
        "when": "during",
        "check": "a",
        "passed": False,
        "said": "held in 1 of 5 tries",
    }
    suite = ElementTree.fromstring(junit(REPORT)).find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("classname") for case in suite] == ["before", "during"]


def test_objects_from_options() -> None:
    assert selector("app=web,tier in (a, b)", "west", "SELECTOR") == {
        "expressionSelectors": [
            {"key": "app", "operator": "In", "values": ["web"]},
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
        ],
        "nodeSelectors": {"topology.kubernetes.io/zone": "west"},
    }
    assert network({"delay": "100ms", "reorder": "25%", "loss": ""}, False) == {
        "action": "netem",
        "delay": {"latency": "100ms", "reorder": {"reorder": "25", "gap": 1}},
    }
    assert network({"rate": "1mbit"}, False)["bandwidth"]["rate"] == "1000000bit"
    assert network({}, True) == {"action": "partition"}


@pytest.mark.parametrize(
    ("options", "partition", "said"),
    [
        ({}, False, "--partition, --delay, --loss, --duplicate, --corrupt or --rate is needed"),
        ({"jitter": "1ms"}, False, "is needed"),
        ({"loss": "5%"}, True, "--partition: nothing passes"),
        ({"rate": "1mbit", "loss": "5%"}, False, "--rate: is an action of its own"),
        ({"loss": "five"}, False, "--loss five: a percentage from 0% to 100% is needed"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, str], partition: bool, said: str) -> None:
    with pytest.raises(UserError) as refused:
        network(options, partition)
    assert said in str(refused.value)
