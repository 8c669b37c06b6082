"""`make bench`: aims and figures of this machine. Arguments choose parts."""

import importlib
import sys

from tests.bench.table import Row, show

PARTS = ("cluster", "api", "wire", "kernels", "services", "proxy", "dns", "programming", "simulation", "testing")


def main(chosen: list[str]) -> int:
    """Measures the chosen parts (all) and prints them; the exit code."""
    if unknown := [name for name in chosen if name not in PARTS]:
        sys.stderr.write(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}\n")
        return 2
    rows: list[Row] = []
    for name in chosen or PARTS:
        sys.stderr.write(f"measuring {name} …\n")
        rows += importlib.import_module(f"tests.bench.{name}").measure()
    show(rows)
    return 0


sys.exit(main(sys.argv[1:]))
