"""docs/fidelity.md names a test in every row that claims something, and the tests are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "fidelity.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| What")
]


def test_every_row_is_shown_by_a_test_that_exists() -> None:
    assert len(ROWS) > 20
    named = {name for row in ROWS for name in re.findall(r"tests/[\w./-]+", row[2])}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_only_what_is_absent_has_no_test() -> None:
    assert [row[0] for row in ROWS if row[2] == "—" and not row[1].startswith("absent")] == []
