"""How a matrix looks to people and machines."""

import json
from xml.etree import ElementTree

from podwire.scripts.reach.expectation import Rule, compared, idle
from podwire.scripts.reach.matrix import Matrix, Origin, Result, Target, Verdict, probes
from podwire.scripts.reach.report import Report, as_json, junit, markdown, table
from podwire.scripts.trace.resolve import Source

ORIGINS = (Origin("default/a", Source("node-1", "default", "a")), Origin("external", Source("external")))
TARGETS = (Target("default/web", "10.244.2.2", 80, "tcp"), Target("svc/default/dns", "10.96.0.5", 53, "udp"))
VERDICTS: tuple[tuple[Verdict, str], ...] = (
    ("reached", "connected"),
    ("refused", "Network is unreachable"),
    ("no answer", "no answer within 1 s"),
    ("refused", "Network is unreachable"),
)
RESULTS = tuple(
    Result(probe, *verdict, 1_500_000) for probe, verdict in zip(probes(ORIGINS, TARGETS), VERDICTS, strict=True)
)
MATRIX = Matrix(ORIGINS, TARGETS, RESULTS, 2.0)
TALLY = "4 probes in 2.00 s, 2 probes/s: 1 reached, 2 refused or unreachable, 1 no answer"
RULES = [Rule(False, "external"), Rule(False, "default/a", "default/web"), Rule(True, "nobody/*")]
DIFFERENCES = [
    "default/a -> default/web tcp/80: reached (connected), but rule 2 wants it denied",
    "rule 3 names none of the probes (from nobody/* to * */*: allowed true)",
]


def report(rules: list[Rule]) -> Report:
    return Report(MATRIX, compared(RESULTS, rules), idle(RESULTS, rules), bool(rules))


def test_a_table_numbers_targets_and_gives_reasons() -> None:
    assert table(report([])).splitlines() == [
        "1  default/web tcp/80",
        "2  svc/default/dns udp/53",
        "",
        "           1 2",
        "default/a  . -",
        "external   X X",
        "",
        ". reached   X refused or unreachable   - no answer   ? not probed",
        "X Network is unreachable",
        "    external -> default/web tcp/80",
        "    external -> svc/default/dns udp/53",
        "- no answer within 1 s",
        "    default/a -> svc/default/dns udp/53",
        TALLY,
    ]


def test_a_table_names_every_difference_and_counts() -> None:
    lines = table(report(RULES)).splitlines()
    assert lines[-4:] == [*(f"differs: {line}" for line in DIFFERENCES), "3 compared, 2 differences", TALLY]
    assert "2 compared, 0 differences" in table(report(RULES[:1]))


def test_columns_are_as_wide_as_their_numbers_and_reasons_name_few_probes() -> None:
    targets = tuple(Target("default/web", "10.244.2.2", port, "tcp") for port in range(1, 12))
    results = tuple(Result(probe, "refused", "Connection refused") for probe in probes(ORIGINS[:1], targets))
    lines = table(Report(Matrix(ORIGINS[:1], targets, results, 1.0), compared(results, []))).splitlines()
    assert lines[12:14] == [
        "            1  2  3  4  5  6  7  8  9 10 11",
        "default/a   X  X  X  X  X  X  X  X  X  X  X",
    ]
    assert "    and 6 more (-o json has all)" in lines


def test_markdown() -> None:
    assert markdown(report(RULES)).splitlines() == [
        "| from | default/web tcp/80 | svc/default/dns udp/53 |",
        "| --- | :-: | :-: |",
        "| default/a | `.` | `-` |",
        "| external | `X` | `X` |",
        "",
        "`.` reached   `X` refused or unreachable   `-` no answer   `?` not probed",
        "",
        *(f"- {line}" for line in DIFFERENCES),
        "",
        "3 compared, 2 differences",
        TALLY,
    ]


def test_json_has_every_probe_and_what_a_rule_wanted_of_it() -> None:
    value = json.loads(as_json(report(RULES)))
    assert (value["differences"], value["seconds"], value["probes_per_second"]) == (DIFFERENCES, 2.0, 2.0)
    first, _, third, _ = value["probes"]
    assert first == {
        "from": "default/a", "to": "default/web", "address": "10.244.2.2", "port": 80, "protocol": "tcp",
        "verdict": "reached", "reason": "connected", "milliseconds": 1.5, "rule": 2, "allowed": False, "differs": True,
    }  # fmt: skip  # one object
    assert "rule" not in third and third["verdict"] == "no answer"


def test_junit_fails_what_differs_and_skips_what_no_rule_names() -> None:
    suite = ElementTree.fromstring(junit(report(RULES)))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "1")
    assert [failure.get("message") for failure in suite.iter("failure")] == DIFFERENCES
    assert [skipped.get("message") for skipped in suite.iter("skipped")] == [
        "no rule names it: no answer (no answer within 1 s)"
    ]
    assert [(case.get("classname"), case.get("name")) for case in suite][:2] == [
        ("default/a", "default/web tcp/80"),
        ("external", "default/web tcp/80"),
    ]
