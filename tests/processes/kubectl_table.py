"""Writes docs/kubectl.md: which kubectl command passed on which version, from the reports of one run."""

import re
from pathlib import Path
from typing import Any, Final

_TARGET: Final = Path(__file__).resolve().parents[2] / "docs" / "kubectl.md"
_TEST: Final = re.compile(r"test_kubectl_commands\.py::test_(\w+)\[(\d+\.\d+)")
_HEAD: Final = """# kubectl

Which command passes on which version, over a live cluster: each row is the test of that name in
`tests/processes/test_kubectl_commands.py`, whose run with `--write-kubectl-table` writes this page.

"""


def write_table(stats: dict[str, list[Any]]) -> None:
    """One row a test, one column a version; a test with several cases passes when all of them do."""
    cells: dict[str, dict[str, bool]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in stats.get(outcome, []):
            match = _TEST.search(report.nodeid)
            if match is not None and (report.when == "call" or outcome != "passed"):
                row = cells.setdefault(match[1].replace("_", " "), {})
                row[match[2]] = row.get(match[2], True) and outcome == "passed"
    versions = sorted({version for row in cells.values() for version in row})
    lines = [f"| command | {' | '.join(versions)} |", "|---" * (len(versions) + 1) + "|"]
    for name, row in sorted(cells.items()):
        shown = ["yes" if row.get(version) else "no" if version in row else "-" for version in versions]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    _TARGET.write_text(_HEAD + "\n".join(lines) + "\n")
