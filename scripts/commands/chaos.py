"""`podwire chaos`: kill -9, pause and resume processes of the running cluster, spoil its links and its clocks."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos import processes
from podwire.scripts.chaos.amounts import bits_a_second, nanoseconds, share
from podwire.scripts.chaos.holding import check_machines, holding
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.chaos.standing import Standing, Wrong, tell
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.cluster.folder import ClusterFolder, FolderError
from podwire.scripts.commands import chaos_plan
from podwire.scripts.commands.options import (
    DEFAULT_DATA_DIR,
    Corrupt,
    DataDir,
    Delay,
    Duplicate,
    Jitter,
    Loss,
    Rate,
    Reorder,
)
from podwire.scripts.errors import UserError
from podwire.services.chassis.clock import SECOND

app = typer.Typer(help="Break the running cluster.", no_args_is_help=True)
app.command()(chaos_plan.run)
app.command()(chaos_plan.pods)

Machine = Annotated[str, typer.Argument(help="control-plane, node-1, …, or external")]
Target = Annotated[str, typer.Argument(help="kube-proxy@node-1, coredns/0, node-2, apiserver, nats, …")]


@app.command()
def kill(
    target: Target,
    duration: Annotated[str, typer.Option("--duration", help="Nothing takes its place for so long, as in 30s.")] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """kill -9; the supervisor starts another at once, or after --duration."""
    seconds = nanoseconds("--duration", duration) / SECOND if duration else 0.0
    processes.kill(_folder(data_dir), target, seconds)
    typer.echo(f"killed {target}" + (f"; back in {duration}" if duration else ""))


@app.command("crash-loop")
def crash_loop(
    target: Target,
    times: Annotated[int, typer.Option(min=1, help="How often.")] = 5,
    every: Annotated[str, typer.Option(help="The time between, as in 2s.")] = "2s",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """kill -9, again and again."""
    folder, pause_seconds = _folder(data_dir), nanoseconds("--every", every) / SECOND
    for number in range(1, times + 1):
        processes.kill_when_there(folder, target, pause_seconds)
        typer.echo(f"killed {target} {number} of {times}")


@app.command("power-off")
def power_off(
    machine: Machine,
    duration: Annotated[str, typer.Option("--duration", help="Until it boots again, as in 30s.")] = "10s",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """A machine loses its power, with all that runs on it; it boots with a new boot id and an empty kernel."""
    ended = processes.power_off(_folder(data_dir), machine, nanoseconds("--duration", duration) / SECOND)
    typer.echo(f"{machine} has no power: {', '.join(ended)}; it boots in {duration}")


@app.command()
def pause(target: Target, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """SIGSTOP: the process does nothing, and is not dead."""
    processes.send(_folder(data_dir), target, signal.SIGSTOP)
    typer.echo(f"paused {target}")


@app.command()
def resume(target: Target, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """SIGCONT."""
    processes.send(_folder(data_dir), target, signal.SIGCONT)
    typer.echo(f"resumed {target}")


OneWay = Annotated[bool, typer.Option("--one-way", help="Only what SOURCE sends to TARGET.")]
Lasting = Annotated[str, typer.Option("--duration", help="As in 30s; without it until Ctrl-C.")]


@app.command()
def partition(
    source: Machine,
    target: Machine,
    one_way: OneWay = False,
    duration: Lasting = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Nothing passes between two machines; processes on them lose the API server's machine too, if it is the other."""
    _spoil(source, target, Impairment(loss=1), one_way, duration, data_dir)


@app.command()
def link(
    source: Machine,
    target: Machine,
    delay: Delay = "",
    jitter: Jitter = "",
    loss: Loss = "",
    duplicate: Duplicate = "",
    reorder: Reorder = "",
    corrupt: Corrupt = "",
    rate: Rate = "",
    one_way: OneWay = False,
    duration: Lasting = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """The link between two machines is bad, as tc-netem(8) makes it."""
    impairment = Impairment(
        delay=nanoseconds("--delay", delay),
        jitter=nanoseconds("--jitter", jitter),
        loss=share("--loss", loss),
        duplicate=share("--duplicate", duplicate),
        reorder=share("--reorder", reorder),
        corrupt=share("--corrupt", corrupt),
        rate=bits_a_second("--rate", rate),
    )
    if impairment == Impairment():
        raise UserError("nothing of the link is bad: --delay, --loss, --duplicate, --corrupt or --rate is needed")
    _spoil(source, target, impairment, one_way, duration, data_dir)


@app.command()
def skew(
    machine: Machine,
    by: Annotated[str, typer.Option(help="How far the clock is ahead, as in 30s; -30s is behind.")],
    duration: Lasting = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """The wall clock of a machine, and of the processes on it, is wrong."""
    ahead = nanoseconds("--by", by.removeprefix("-")) / SECOND
    wrong = Wrong(skews={machine: -ahead if by.startswith("-") else ahead})
    _hold(wrong, [machine], f"clock of {machine} {by}", duration, data_dir)


@app.command()
def heal(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Makes all links whole and all clocks right, and starts what is kept dead, whoever did it."""

    async def main(client: Client) -> int:
        Standing(client.folder.path).remove_all()
        client.folder.release_all()
        return await tell(client, Wrong())

    typer.echo(f"healed; {run_connected(data_dir, main)} processes told")


def _spoil(source: str, target: str, impairment: Impairment, one_way: bool, duration: str, data_dir: str) -> None:
    if source == target:
        raise UserError(f"{source} {target}: two machines are needed")
    bad = [BadDirection(source, target, impairment)]
    bad += [] if one_way else [BadDirection(target, source, impairment)]
    _hold(Wrong(bad=bad), [source, target], f"link {source} {'->' if one_way else '<->'} {target}", duration, data_dir)


def _hold(wrong: Wrong, named: list[str], what: str, duration: str, data_dir: str) -> None:
    """Keeps something broken: processes that start meanwhile are told within a second."""
    seconds = nanoseconds("--duration", duration) / SECOND if duration else None

    async def main(client: Client) -> None:
        check_machines(client, named)
        async with holding(client, wrong) as held:
            typer.echo(f"{what}: {held.told} processes told; {f'for {duration}' if duration else 'until Ctrl-C'}")
            try:
                await asyncio.wait_for(asyncio.shield(held.healed), seconds)
            except TimeoutError:
                pass
        typer.echo(f"{what}: whole again")

    try:
        run_connected(data_dir, main)
    except KeyboardInterrupt:
        typer.echo(f"{what}: whole again")


def _folder(data_dir: str) -> ClusterFolder:
    folder = ClusterFolder(Path(data_dir))
    try:
        folder.read_cluster()
    except FolderError as error:
        raise UserError(str(error)) from None
    return folder
