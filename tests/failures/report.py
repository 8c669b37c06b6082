"""docs/failure-modes.md, from what was seen."""

import re
from pathlib import Path
from typing import Final

from .effects import EVERYTHING, Seen, noticed
from .scene import Report

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "failure-modes.md"
_MARKS: Final = re.compile(r"(?<=<!-- from here by tests.failures.report -->\n).*(?=<!-- to here -->)", re.DOTALL)


def write_report(reports: list[Report]) -> None:
    """Writes the document's table."""
    text = "\n".join([*rows(reports), ""])
    DOCUMENT.write_text(_MARKS.sub(lambda _: text, DOCUMENT.read_text()))


def rows(reports: list[Report]) -> list[str]:
    """A line a component, in Markdown."""
    head = ["| Away | for | does not work | works | why |", "|---|--:|---|---|---|"]
    return [*head, *(_row(report) for report in reports)]


def _row(report: Report) -> str:
    effect = report.effect
    broken = [entry for entry in report.seen if noticed(effect, entry)]
    working = [entry.name for entry in report.seen if not noticed(effect, entry)]
    works = "everything else" if 0 < len(working) < len(EVERYTHING) else "everything" if working else "nothing"
    told = "; ".join(_told(entry) for entry in broken) or "nothing"
    return f"| {effect.absent} | {effect.seconds:g} s | {told} | {works} | {effect.why} |"


def _told(seen: Seen) -> str:
    if seen.recovered_alone:
        return f"{seen.name} (for {seen.broken:.1f} s)"
    return f"{seen.name} (+{seen.recovered_after:.1f} s)"
