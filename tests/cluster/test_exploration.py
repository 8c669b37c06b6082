"""Simulated clusters that are broken as a seed has it: the same seed is the same run, and what must hold holds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from podwire.scripts.chaos.actions import Action, Kill
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.commands.app import build
from podwire.scripts.simulation.draw import KINDS
from podwire.scripts.simulation.seeds import Seeds

ROOT = Path(__file__).parents[2]
MINUTES = 2.0


@pytest.fixture(scope="module")
def seeds() -> Iterator[Seeds]:
    booted = Seeds(3, MANIFESTS / "static", MANIFESTS, MINUTES)
    booted.boot()
    yield booted
    booted.close()


def test_a_run_follows_from_its_seed_alone(seeds: Seeds) -> None:
    schedule = seeds.schedule(5)
    first, again, other = seeds.run(5, schedule), seeds.run(5, schedule), seeds.run(6, schedule)
    assert first == again
    assert first.violation is None and other.violation is None
    assert first.digest != other.digest


@pytest.mark.slow
def test_every_invariant_holds_through_a_few_seeds(seeds: Seeds) -> None:
    findings = {finding.seed: finding for finding in seeds.run_many(iter(range(1, 4)), jobs=2)}
    assert sorted(findings) == [1, 2, 3]
    assert {seed: finding.violation for seed, finding in findings.items()} == dict.fromkeys(findings)
    assert all(finding.calls.answered > finding.calls.failed for finding in findings.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_heals(kind: str) -> None:
    booted = Seeds(3, MANIFESTS / "static", MANIFESTS, 4.0, [kind])
    booted.boot()
    try:
        findings = list(booted.run_many(iter(range(4)), jobs=2))
        assert {finding.seed: finding.violation for finding in findings} == dict.fromkeys(range(4))
    finally:
        booted.close()


def explored(hash_seed: str) -> dict[str, object]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "src")}
    options = ["sim", "--seed", "9", "--minutes", "1", "-o", "json"]
    command = [sys.executable, "-m", "podwire.scripts", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_the_order_of_sets_has_no_influence_on_faults_and_their_healing() -> None:
    assert explored("1") == explored("2")


@pytest.mark.slow
def test_a_run_that_breaks_something_is_shrunk_saved_and_run_again(
    seeds: Seeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time to settle, a component that is killed at the end is not back."""
    monkeypatch.setattr("podwire.scripts.simulation.exploration.SETTLE", -1.0)
    monkeypatch.setattr("podwire.scripts.simulation.seeds.draw", lambda *_: SCHEDULE)
    runner = CliRunner()
    options = ["sim", "--minutes", "0.2", "--seed", "1", "--save", str(tmp_path)]
    done = runner.invoke(build("sim"), options)
    assert done.exit_code == 1
    assert "seed 1: killed-components-recover does not hold" in done.output
    saved = json.loads((tmp_path / "sim-seed-1.json").read_text())
    assert [entry["target"] for entry in saved["schedule"]] == ["recorder"], "nothing else is to blame"
    again = runner.invoke(build("sim"), ["sim", "--replay", str(tmp_path / "sim-seed-1.json")])
    assert again.exit_code == 1 and "killed-components-recover" in again.output


SCHEDULE: list[Action] = [
    Kill(at=1, target="scheduler"),
    Kill(at=2, target="kubelet@node-1"),
    Kill(at=9.5, target="recorder", back_after=2.5),
    Kill(at=5, target="flannel@node-2"),
]
