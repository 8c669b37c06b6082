"""Same seed, same event log: for every PYTHONHASHSEED and on every CPython that is here; another seed, another log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.12", "3.13", "3.14", "3.15")
_DEPENDENCIES = "import sys, msgspec, msgpack, nats, structlog, typer, yaml, cryptography, aiohttp, h11, dns, uvloop"


def simulate(interpreter: str, seed: int, hash_seed: str) -> dict[str, object]:
    """The report of `podwire sim` in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "src")}
    command = [interpreter, "-m", "podwire.scripts", "sim", "--seed", str(seed), "--nodes", "2", "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    return simulate(sys.executable, 7, "0")


@pytest.mark.parametrize("hash_seed", ["1", *(pytest.param(seed, marks=pytest.mark.slow) for seed in ("2", "random"))])
def test_the_order_of_sets_has_no_influence(reference: dict[str, object], hash_seed: str) -> None:
    assert simulate(sys.executable, 7, hash_seed) == reference


def test_another_seed_is_another_run(reference: dict[str, object]) -> None:
    other = simulate(sys.executable, 8, "0")
    assert other["digest"] != reference["digest"] and other["steps"] != reference["steps"]


def interpreters() -> list[str]:
    """Other CPythons on this machine; PODWIRE_TEST_PYTHONS names more folders, e.g. of a virtual environment."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if not folder.endswith("/shims")]
    folders += os.environ.get("PODWIRE_TEST_PYTHONS", "").split(os.pathsep)
    folders += [str(folder) for folder in sorted(Path.home().glob(".pyenv/versions/*/bin"))]
    folders += [str(folder) for folder in sorted(Path.home().glob(".local/share/uv/python/*/bin"))]
    found: dict[str, str] = {}
    for version in VERSIONS:
        for path in (Path(folder) / f"python{version}" for folder in folders):
            if path.is_file() and os.access(path, os.X_OK):
                is_virtual = (path.parent.parent / "pyvenv.cfg").exists()
                found.setdefault(str(path if is_virtual else path.resolve()), version)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [path for path, version in found.items() if version != own]


@pytest.mark.parametrize(
    "interpreter", interpreters() or [pytest.param("", marks=pytest.mark.skip("no other CPython"))]
)
def test_another_cpython_gives_the_same_log(reference: dict[str, object], interpreter: str) -> None:
    probe = subprocess.run([interpreter, "-c", _DEPENDENCIES], capture_output=True, text=True, check=False, timeout=30)
    if probe.returncode:
        pytest.skip(f"{interpreter} has not what podwire needs: {probe.stderr.strip().splitlines()[-1:]}")
    assert simulate(interpreter, 7, "0") == reference
