"""What a plan came to, for people and machines."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Final
from xml.etree import ElementTree

from podwire.scripts.chaos.running import Report
from podwire.scripts.trace.svg import clean


def table(report: Report) -> str:
    """One line a check and phase."""
    width = max((len(row.check) for row in report.rows), default=0)
    lines = [
        f"{row.when:<6}  {'ok' if row.passed else 'FAILED':<6}  {row.check:<{width}}  {row.said}" for row in report.rows
    ]
    failed = sum(not row.passed for row in report.rows)
    return "\n".join([*lines, f"{report.plan}: {'passed' if report.passed else f'{failed} failed'}"])


def as_json(report: Report) -> str:
    """The rows, and whether all passed."""
    return json.dumps(
        {"plan": report.plan, "passed": report.passed, "checks": [asdict(row) for row in report.rows]}, indent=1
    )


def junit(report: Report) -> str:
    """JUnit's XML: a case a check and phase."""
    failed = sum(not row.passed for row in report.rows)
    root = ElementTree.Element("testsuites")
    numbers = {"tests": str(len(report.rows)), "failures": str(failed)}
    suite = ElementTree.SubElement(root, "testsuite", {"name": clean(report.plan), **numbers})
    for row in report.rows:
        case = ElementTree.SubElement(suite, "testcase", {"classname": row.when, "name": clean(row.check)})
        if not row.passed:
            ElementTree.SubElement(case, "failure", {"message": clean(row.said)})
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


OUTPUTS: Final[dict[str, Callable[[Report], str]]] = {"table": table, "json": as_json, "junit": junit}
