"""`python -m tests.cluster.rolling.table`: plays the scenes and writes their table into docs/rolling-updates.md."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

from ..conftest import Booted
from .fates import Court, Fate, Kind
from .history import absences, lives
from .load import Request
from .scene import APP, Scene
from .stage import SimulatedStage, Stage

SEED: Final = 8
SCENES: Final = (
    ("iptables", 0, False),
    ("iptables", 5, False),
    ("iptables", 0, True),
    ("iptables", 5, True),
    ("ipvs", 5, True),
    ("nftables", 5, True),
)
"""kube-proxy's mode, seconds of preStop sleep, whether components die."""
DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "rolling-updates.md"
_MARKS: Final = re.compile(r"(?<=<!-- from here by tests.cluster.rolling.table -->\n).*(?=<!-- to here -->)", re.DOTALL)


def play(mode: str, pre_stop: int, *, deaths: bool, seed: int = SEED) -> list[Fate]:
    """One scene on a cluster of its own; every request's fate."""
    booted = Booted(seed=seed, workers=2, proxy_mode=mode)
    try:
        stage = SimulatedStage(booted)
        scene = Scene(stage, pre_stop, seed)
        requests = booted.cluster.run(scene.play(deaths=deaths))
        return judged(stage, scene, requests)
    finally:
        booted.cluster.close()


def judged(stage: Stage, scene: Scene, requests: list[Request], lateness: int = 0) -> list[Fate]:
    """Every request's fate, by what the event log says."""
    log = stage.log()
    court = Court(lives(log, "default", APP, APP), absences(log, scene.outages), lateness)
    return [court.judge(request) for request in requests]


def rows() -> list[str]:
    """The table in Markdown: a line a fate, a column a scene."""
    counts = [Counter(fate.kind for fate in play(mode, sleep, deaths=deaths)) for mode, sleep, deaths in SCENES]
    names = [f"{mode}, preStop {sleep} s, {'deaths' if deaths else 'calm'}" for mode, sleep, deaths in SCENES]
    head = [f"| What became of a request | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    return [*head, *(f"| {kind} | {' | '.join(str(count[kind]) for count in counts)} |" for kind in Kind)]


if __name__ == "__main__":
    text = "\n".join([*rows(), ""])
    DOCUMENT.write_text(_MARKS.sub(lambda _: text, DOCUMENT.read_text()))
