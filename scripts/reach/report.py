"""A matrix, and where it differs from what is expected, for people and machines."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from podwire.scripts.reach.expectation import Judgement
from podwire.scripts.reach.matrix import MARKS, MEANINGS, Matrix, Result
from podwire.scripts.trace.svg import clean

_NAMED: Final = 5
"""So many probes of one reason are named to people."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is told: the matrix, its comparison with rules if there are any, and the rules that name no probe."""

    matrix: Matrix
    judgements: Sequence[Judgement]
    idle_rules: Sequence[str] = ()
    has_rules: bool = False

    @property
    def differences(self) -> list[str]:
        """A line for each."""
        return [*(str(each) for each in self.judgements if each.differs), *self.idle_rules]

    def conclusion(self) -> str:
        """How the comparison ended ("" without rules)."""
        if not self.has_rules:
            return ""
        count, named = len(self.differences), sum(each.rule is not None for each in self.judgements)
        return f"{named} compared, {count} difference{'s' * (count != 1)}"


def table(report: Report) -> str:
    """Targets numbered, then one line of marks a source; what was not reached with its reason, the differences."""
    matrix = report.matrix
    width = len(str(len(matrix.targets)))
    names = max(len(origin.name) for origin in matrix.origins)
    lines = [f"{number:>{width}}  {target}" for number, target in enumerate(matrix.targets, 1)]
    heading = " ".join(f"{number:>{width}}" for number in range(1, len(matrix.targets) + 1))
    lines += ["", f"{'':{names}}  {heading}"]
    for row, origin in enumerate(matrix.origins):
        lines.append(f"{origin.name:{names}}  {' '.join(f'{mark:>{width}}' for mark in matrix.marks(row))}")
    lines += ["", legend(), *_reasons(matrix.results), *_told(report), matrix.tally()]
    return "\n".join(lines)


def legend() -> str:
    """What the marks mean."""
    return "   ".join(f"{mark} {MEANINGS[verdict]}" for verdict, mark in MARKS.items())


def _reasons(results: Sequence[Result]) -> Iterator[str]:
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.verdict != "reached":
            found.setdefault((MARKS[result.verdict], result.reason), []).append(result)
    for (mark, reason), members in found.items():
        yield f"{mark} {reason}"
        yield from (f"    {member.probe}" for member in members[:_NAMED])
        if len(members) > _NAMED:
            yield f"    and {len(members) - _NAMED} more (-o json has all)"


def _told(report: Report) -> list[str]:
    return [*(f"differs: {line}" for line in report.differences), *filter(None, [report.conclusion()])]


def markdown(report: Report) -> str:
    """A table of GitHub's Markdown, the legend, the differences, the tally."""
    matrix = report.matrix
    lines = [_row(["from", *map(str, matrix.targets)]), _row(["---", *[":-:" for _ in matrix.targets]])]
    for row, origin in enumerate(matrix.origins):
        lines.append(_row([origin.name, *(f"`{mark}`" for mark in matrix.marks(row))]))
    lines += ["", "   ".join(f"`{mark}` {MEANINGS[verdict]}" for verdict, mark in MARKS.items())]
    lines += ["", *(f"- {line}" for line in report.differences)] if report.differences else []
    return "\n".join([*lines, "", *filter(None, [report.conclusion(), matrix.tally()])])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(report: Report) -> str:
    """Every probe with verdict, reason and milliseconds; where a rule names it, what was expected."""
    value = {
        "probes": [_entry(each) for each in report.judgements],
        "differences": report.differences,
        "seconds": round(report.matrix.seconds, 3),
        "probes_per_second": round(len(report.judgements) / max(report.matrix.seconds, 1e-9), 1),
    }
    return json.dumps(value, indent=1)


def _entry(judgement: Judgement) -> dict[str, Any]:
    result, target = judgement.result, judgement.result.probe.target
    entry: dict[str, Any] = {
        "from": result.probe.origin.name,
        "to": target.name,
        "address": target.address,
        "port": target.port,
        "protocol": target.protocol,
        "verdict": result.verdict,
        "reason": result.reason,
        "milliseconds": round(result.duration / 1e6, 3),
    }
    if judgement.rule is not None:
        entry |= {"rule": judgement.number, "allowed": judgement.rule.allowed, "differs": judgement.differs}
    return entry


def junit(report: Report) -> str:
    """JUnit's XML: a case a probe, failed where it differs, skipped where no rule names it; a failed case for each rule
    that names no probe."""
    count = len(report.judgements) + len(report.idle_rules)
    skipped = sum(each.rule is None for each in report.judgements)
    numbers = {"tests": str(count), "failures": str(len(report.differences)), "skipped": str(skipped)}
    root = ElementTree.Element("testsuites")
    seconds = f"{report.matrix.seconds:.3f}"
    suite = ElementTree.SubElement(root, "testsuite", {"name": "podwire reach", **numbers, "time": seconds})
    for each in report.judgements:
        _case(suite, each)
    for line in report.idle_rules:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "rules", "name": clean(line)})
        ElementTree.SubElement(case, "failure", {"message": clean(line)})
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, judgement: Judgement) -> None:
    result = judgement.result
    name = {"classname": clean(result.probe.origin.name), "name": clean(str(result.probe.target))}
    case = ElementTree.SubElement(suite, "testcase", {**name, "time": f"{result.duration / 1e9:.6f}"})
    if judgement.differs:
        ElementTree.SubElement(case, "failure", {"message": clean(str(judgement))})
    elif judgement.rule is None:
        told = f"no rule names it: {MEANINGS[result.verdict]} ({result.reason})"
        ElementTree.SubElement(case, "skipped", {"message": clean(told)})


OUTPUTS: Final[dict[str, Callable[[Report], str]]] = {
    "table": table,
    "json": as_json,
    "junit": junit,
    "markdown": markdown,
}
