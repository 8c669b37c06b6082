"""The newest revision that was applied, beside the log."""

import os
import signal
from pathlib import Path

from podwire.services.apiserver.high_water import HighWater, read


def test_it_only_rises_and_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged"
    assert read(path) == 0
    mark = HighWater(path)
    for revision in (7, 300, 5):
        mark.reach(revision)
    assert read(path) == 300
    again = HighWater(path)
    again.reach(299)
    assert read(path) == 300
    again.reach(1 << 40)
    assert read(path) == 1 << 40 and path.stat().st_mode & 0o777 == 0o600


def test_it_survives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged"
    pid = os.fork()
    if pid == 0:
        HighWater(path).reach(42)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert read(path) == 42
