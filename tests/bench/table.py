"""What a bench run prints: aims beside figures, and the machine that they were measured on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; `aim` is "" where none was set."""

    what: str
    figure: str
    aim: str = ""


def machine() -> str:
    """Cores, CPU model and Python."""
    model = "unknown CPU"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or model
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {model}, {platform.python_implementation()} {platform.python_version()}"


def show(rows: list[Row]) -> None:
    """Prints all rows."""
    table = Table(box=None, pad_edge=False, title=machine(), title_justify="left")
    for heading in ("WHAT", "AIM", "FIGURE"):
        table.add_column(heading, justify="right" if heading == "FIGURE" else "left", no_wrap=True)
    for row in rows:
        table.add_row(row.what, row.aim or "-", row.figure)
    Console(highlight=False, width=140).print(table)
