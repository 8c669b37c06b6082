"""Measures and draws docs/images/proxy-modes.svg: `python -m tests.bench.proxy_image`.

What a flow's first packet passes in each of kube-proxy's modes as Services become more, counted rule by rule, beside
the time that podwire's kernel takes for it.
"""

import gc
from pathlib import Path
from typing import Final

from tests.bench.chart import Panel, render
from tests.bench.proxy import Measured
from tests.bench.table import machine

from podwire.services.kube_proxy.core.modes import MODES

COUNTS: Final = (10, 100, 1_000, 10_000)
TARGET: Final = Path(__file__).resolve().parents[2] / "docs" / "images" / "proxy-modes.svg"


def picture() -> str:
    """The image, from measurements that are made now."""
    passed: dict[str, dict[int, float]] = {}
    taken: dict[str, dict[int, float]] = {}
    for mode in MODES:
        for count in COUNTS:
            measured = Measured(mode, count)
            rules, microseconds = measured.lookup()
            passed.setdefault(mode, {})[count] = rules
            taken.setdefault(mode, {})[count] = microseconds
            del measured
            gc.collect()
    across = "Services of three endpoints"
    return render(
        [
            Panel("rules that the first packet of a flow passes", across, (0, 5), passed),
            Panel("µs that podwire's kernel takes for it", across, (0, 5), taken),
        ],
        f"kube-proxy's modes by number of Services, measured on {machine()}",
    )


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
