"""Writes docs/kubectl.md: which kubectl command passed on which version, from the reports of one run."""

import re
from pathlib import Path
from typing import Any, Final

_TARGET: Final = Path(__file__).resolve().parents[2] / "docs" / "kubectl.md"
_TEST: Final = re.compile(r"test_kubectl_commands\.py::test_(\w+)\[(\d+\.\d+)")
_HEAD: Final = """# kubectl

Which command passes on which version, over a live cluster: each row is the test of that name in
`tests/processes/test_kubectl_commands.py`, whose run with `--write-kubectl-table` writes this page. "as 1.33" means
that the command fails, and would on a real Kubernetes 1.33, which does not serve what that version of kubectl asks for.

"""


def write_table(stats: dict[str, list[Any]]) -> None:
    """One row a test, one column a version; a test with several cases passes when all of them do."""
    cells: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in stats.get(outcome, []):
            match = _TEST.search(report.nodeid)
            if match is not None and (report.when == "call" or outcome != "passed"):
                row = cells.setdefault(match[1].replace("_", " "), {})
                shown = dict(report.user_properties).get("shown", "yes") if outcome == "passed" else "no"
                row[match[2]] = "no" if row.get(match[2]) == "no" else shown
    versions = sorted({version for row in cells.values() for version in row})
    lines = [f"| command | {' | '.join(versions)} |", "|---" * (len(versions) + 1) + "|"]
    for name, row in sorted(cells.items()):
        lines.append(f"| {name} | {' | '.join(row.get(version, '-') for version in versions)} |")
    _TARGET.write_text(_HEAD + "\n".join(lines) + "\n")
