"""Expectation files: what rules name, which one wins, where the truth differs, and what is said of bad ones."""

from pathlib import Path

import pytest

from podwire.scripts.errors import UserError
from podwire.scripts.reach.expectation import Rule, compared, idle, matches, parse_rules, read_rules
from podwire.scripts.reach.matrix import Origin, Probe, Result, Target, Verdict
from podwire.scripts.trace.resolve import Source

FILE = """
- {from: "*", to: default/*, allowed: false}
- {from: default/debug-*, to: default/web-*, port: 80, protocol: TCP, allowed: true}
"""


def result(verdict: Verdict, origin: str = "default/debug-1", target: str = "default/web-1", port: int = 80) -> Result:
    return Result(Probe(Origin(origin, Source("")), Target(target, "10.244.0.2", port, "tcp")), verdict, "why")


@pytest.mark.parametrize(
    ("pattern", "name", "named"),
    [
        ("*", "svc/default/web", True),
        ("*", "external", True),
        ("default/*", "default/web", True),
        ("default/*", "svc/default/web", False),
        ("*/web-?", "other/web-1", True),
        ("*/*", "node-1", False),
        ("node-*", "node-1", True),
        ("svc/*/web", "svc/default/web", True),
        ("default/Web", "default/web", False),
    ],
)
def test_a_wildcard_stays_within_a_name_unless_it_stands_alone(pattern: str, name: str, named: bool) -> None:
    assert matches(pattern, name) is named


def test_the_last_rule_that_names_a_probe_counts() -> None:
    rules = parse_rules(FILE)
    told = compared([result("reached"), result("reached", "default/other"), result("refused", port=81)], rules)
    assert [(each.number, each.differs) for each in told] == [(2, False), (1, True), (1, False)]
    assert str(told[1]) == "default/other -> default/web-1 tcp/80: reached (why), but rule 1 wants it denied"


def test_what_no_rule_names_is_not_compared() -> None:
    (told,) = compared([result("reached", target="other/web")], parse_rules(FILE))
    assert (told.rule, told.differs) == (None, False)


@pytest.mark.parametrize(
    ("verdict", "allowed", "differs"),
    [
        ("reached", True, False),
        ("reached", False, True),
        ("refused", True, True),
        ("refused", False, False),
        ("no answer", True, True),
        ("no answer", False, False),
        ("not probed", True, True),
        ("not probed", False, True),
    ],
)
def test_where_the_truth_differs(verdict: Verdict, allowed: bool, differs: bool) -> None:
    assert compared([result(verdict)], [Rule(allowed)])[0].differs is differs


def test_a_rule_that_names_no_probe_is_told() -> None:
    rules = [Rule(True), Rule(False, "default/debgu-*", port=80)]
    assert idle([result("reached")], rules) == [
        "rule 2 names none of the probes (from default/debgu-* to * */80: allowed false)"
    ]


def test_fields_left_out_mean_any() -> None:
    assert parse_rules("[{allowed: true}]") == [Rule(True, "*", "*", None, None)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing: a YAML list of rules is needed, each with from, to, port, protocol, allowed"),
        ("from: a", "{'from': 'a'}: a YAML list of rules is needed"),
        ("- [", "line 1, column 4: "),
        ("- \x01", "special characters are not allowed"),
        ("- 2026-99-99", "a YAML list of rules is needed"),
        ("- web", "rule 1: 'web': a mapping is needed, with from, to"),
        ("- {allowed: true}\n- {allowed: true, form: a}", "rule 2: form: no such field; the fields are from, to"),
        ("- {from: a}", "rule 1: allowed: nothing: true or false is needed"),
        ("- {allowed: maybe}", "rule 1: allowed: 'maybe': true or false is needed"),
        ("- {allowed: 1}", "rule 1: allowed: 1: true or false is needed"),
        ("- {allowed: true, from: 3}", "rule 1: from: 3: a glob such as default/web-* is needed"),
        ("- {allowed: true, to: ''}", "rule 1: to: '': a glob such as default/web-* is needed"),
        ("- {allowed: true, port: 0}", "rule 1: port: 0: a number from 1 to 65535 is needed"),
        ("- {allowed: true, port: yes}", "rule 1: port: True: a number from 1 to 65535 is needed"),
        ("- {allowed: true, port: http}", "rule 1: port: 'http': a number from 1 to 65535 is needed"),
        ("- {allowed: true, protocol: icmp}", "rule 1: protocol: 'icmp': tcp, udp or sctp is needed"),
    ],
)
def test_a_bad_file_gets_one_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "reach.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        read_rules(str(file))
    assert str(refused.value).startswith(f"--expect {file}: ") and says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--expect /nothing/here: No such file or directory"):
        read_rules("/nothing/here")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="it is not UTF-8 text"):
        read_rules(str(tmp_path / "bytes"))
