"""`podwire sim`: whole clusters in one process, on virtual time, from a seed; broken as the seed has it."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from podwire.scripts.chaos.actions import Action
from podwire.scripts.cluster.addressing import AddressingError
from podwire.scripts.cluster.layout import LayoutError
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.errors import UserError
from podwire.scripts.simulation.cluster import SimulatedCluster, SimulationFailed
from podwire.scripts.simulation.draw import KINDS
from podwire.scripts.simulation.exploration import Finding, Violation, schedule_lines
from podwire.scripts.simulation.forks import ForkFailed
from podwire.scripts.simulation.regression import Regression, RegressionError, load, save
from podwire.scripts.simulation.scenario import Scenario
from podwire.scripts.simulation.seeds import Seeds

STATIC_PODS: Final = MANIFESTS / "static"
MOST_MINUTES: Final = 24 * 60

Minutes = Annotated[float, typer.Option(help="Minutes of virtual time, busy and with faults; 0: a short scenario.")]
FaultKinds = Annotated[str, typer.Option(help=f"all, none, or some of {','.join(KINDS)}.")]
Replay = Annotated[str, typer.Option(metavar="FILE", help="Runs what an earlier run saved.")]
Family = Annotated[str, typer.Option(help="Addresses of nodes, pods, Services: ipv4, dual or ipv6 (scenario only).")]


def sim(
    seed: Annotated[int, typer.Option(help="Decides delays, the order of execution, faults and every choice.")] = 1,
    seeds: Annotated[int, typer.Option(help="So many seeds, from --seed on.")] = 1,
    minutes: Minutes = 0,
    faults: FaultKinds = "all",
    nodes: Annotated[int, typer.Option(help="Worker nodes.")] = 3,
    jobs: Annotated[int, typer.Option(help="Seeds at a time; 0: as many as there are processors.")] = 0,
    replay: Replay = "",
    save_to: Annotated[str, typer.Option("--save", metavar="DIR", help="Where runs that broke something go.")] = ".",
    ip_family: Family = "ipv4",
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Boot simulated clusters, break them, check that what must hold holds; print the hash of the event log."""
    if output not in ("text", "json"):
        raise UserError(f"--output {output}: text or json is needed")
    try:
        if replay:
            _replay(Path(replay), output)
        elif minutes:
            kinds = _kinds(faults)
            _check(minutes, seeds, jobs)
            _explore(range(seed, seed + seeds), nodes, minutes, kinds, jobs or os.cpu_count() or 1, save_to, output)
        else:
            _scenario(seed, nodes, ip_family, output)
    except (AddressingError, LayoutError, RegressionError) as error:
        raise UserError(str(error)) from None
    except (SimulationFailed, ForkFailed) as error:
        typer.echo(f"seed {seed}: {error}", err=True)
        raise typer.Exit(1) from None


def _kinds(faults: str) -> Sequence[str]:
    if faults in ("all", "none"):
        return KINDS if faults == "all" else ()
    kinds = faults.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"--faults {faults}: {kind!r} is none of {', '.join(KINDS)}, all, none")
    return kinds


def _check(minutes: float, seeds: int, jobs: int) -> None:
    if not 0 < minutes <= MOST_MINUTES:
        raise UserError(f"--minutes {minutes:g}: more than 0 and at most {MOST_MINUTES} are needed")
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: at least 1 is needed")
    if jobs < 0:
        raise UserError(f"--jobs {jobs}: 0 or more are needed")


def _scenario(seed: int, nodes: int, ip_family: str, output: str) -> None:
    began = time.monotonic()
    cluster = SimulatedCluster(seed, nodes, STATIC_PODS, ip_family)
    report = Scenario(cluster, MANIFESTS, _teller(output)).run()
    if output == "json":
        typer.echo(json.dumps(asdict(report)))
        return
    real = time.monotonic() - began
    typer.echo(f"\n{report.virtual_seconds:.1f} s simulated in {real:.1f} s, {report.steps} steps")
    typer.echo(f"event log  {report.digest}")


def _teller(output: str) -> Callable[[str], None]:
    return lambda line: typer.echo(line) if output == "text" else None


def _replay(path: Path, output: str) -> None:
    saved = load(path)
    with _booted(saved.nodes, saved.minutes, (), output) as booted:
        finding = _run_one(booted, saved.seed, saved.schedule, output)
    if finding.violation is not None:
        raise typer.Exit(1)


@contextmanager
def _booted(nodes: int, minutes: float, kinds: Sequence[str], output: str) -> Iterator[Seeds]:
    booted = Seeds(nodes, STATIC_PODS, MANIFESTS, minutes, kinds)
    began = time.monotonic()
    booted.boot()
    if output == "text":
        typer.echo(f"booted in {time.monotonic() - began:.1f} s")
    try:
        yield booted
    finally:
        booted.close()


def _explore(
    seeds: range, nodes: int, minutes: float, kinds: Sequence[str], jobs: int, save_to: str, output: str
) -> None:
    began, virtual, broken = time.monotonic(), 0.0, 0
    with _booted(nodes, minutes, kinds, output) as booted:
        for finding in _findings(booted, seeds, jobs, output):
            virtual += finding.virtual_seconds
            if finding.violation is not None:
                broken += 1
                _shrink_and_save(booted, finding, finding.violation, nodes, Path(save_to), output)
    if output == "text" and len(seeds) > 1:
        real = time.monotonic() - began
        speed = f"{len(seeds) / real:.2f} seeds/s, {virtual / real:.0f} virtual seconds a second"
        typer.echo(f"\n{len(seeds)} seeds, {broken} broke something; {speed}")
    if broken:
        raise typer.Exit(1)


def _findings(booted: Seeds, seeds: range, jobs: int, output: str) -> Iterator[Finding]:
    if len(seeds) == 1:
        yield _explore_one(booted, seeds[0], output)
        return
    for finding in booted.run_many(iter(seeds), jobs):
        _print_finding(finding, output)
        yield finding


def _explore_one(booted: Seeds, seed: int, output: str) -> Finding:
    schedule = booted.schedule(seed)
    if output == "text":
        typer.echo("\n".join(["faults, by seconds from now", *schedule_lines(schedule), ""]))
    return _run_one(booted, seed, schedule, output)


def _run_one(booted: Seeds, seed: int, schedule: Sequence[Action], output: str) -> Finding:
    began = time.monotonic()
    finding = booted.run(seed, schedule, _teller(output))
    real = time.monotonic() - began
    _print_finding(finding, output)
    if output == "text":
        speed = finding.virtual_seconds / real
        typer.echo(f"{finding.virtual_seconds:.1f} s simulated in {real:.1f} s ({speed:.0f} times as fast as life)")
        typer.echo(f"event log  {finding.digest}")
    return finding


def _print_finding(finding: Finding, output: str) -> None:
    if output == "json":
        typer.echo(msgspec.json.encode(finding))
        return
    calls = f"{finding.calls.answered} calls answered, {finding.calls.failed} not"
    if finding.violation is None:
        typer.echo(f"seed {finding.seed}: whole {finding.settled_after:.0f} s after the last fault; {calls}")
        return
    violation = finding.violation
    typer.echo(f"seed {finding.seed}: {violation.invariant} does not hold at {violation.at:.3f} s; {calls}")
    for line in violation.what:
        typer.echo(f"    {line}")


def _shrink_and_save(
    booted: Seeds, finding: Finding, violation: Violation, nodes: int, folder: Path, output: str
) -> None:
    if output == "text":
        typer.echo("    looking for the shortest schedule that breaks it …")
    shortest = booted.shortest(finding.seed, violation.invariant)
    path = folder / f"sim-seed-{finding.seed}.json"
    regression: dict[str, Any] = {"seed": finding.seed, "nodes": nodes, "minutes": booted.minutes}
    saved = Regression(**regression, invariant=violation.invariant, what=list(violation.what), schedule=list(shortest))
    save(path, saved)
    if output == "text":
        typer.echo("\n".join([f"    {line}" for line in schedule_lines(shortest)]))
        typer.echo(f"    saved: podwire sim --replay {path}")
