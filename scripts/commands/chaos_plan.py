"""`podwire chaos run` and `podwire chaos pods`: plans with a steady state, and faults of pods as objects."""

import secrets
from typing import Annotated

import typer

from podwire.scripts.chaos.live_breaking import LiveBreaking
from podwire.scripts.chaos.plan import read_plan
from podwire.scripts.chaos.plan_report import OUTPUTS
from podwire.scripts.chaos.pod_faults import network, selector
from podwire.scripts.chaos.running import Nothing, Report, Runner
from podwire.scripts.cluster.client import Client, run_connected
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
from podwire.services.chaos.core.kinds import NETWORK


def run(
    file: Annotated[str, typer.Argument(metavar="PLAN", help="A YAML plan: docs/breaking.md has its fields.")],
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or junit.")] = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Check the steady state, break something, check again, heal, check again; exit 1 where a check fails."""
    if output not in OUTPUTS:
        raise UserError(f"--output {output}: {', '.join(OUTPUTS)}: one of them is needed")
    plan = read_plan(file)

    async def work(client: Client) -> Report:
        breaks = plan.kill or plan.pause or plan.partition
        breaking = LiveBreaking(client, plan) if breaks else Nothing()
        return await Runner(client, plan, breaking, lambda text: typer.echo(text, err=True)).run()

    report = run_connected(data_dir, work)
    typer.echo(OUTPUTS[output](report))
    raise typer.Exit(0 if report.passed else 1)


def pods(
    labels: Annotated[
        str, typer.Argument(metavar="SELECTOR", help='Whose packets, by labels, as kubectl -l; "" for all of --zone.')
    ],
    to: Annotated[str, typer.Option(metavar="SELECTOR", help="Only what goes to these pods.")] = "",
    zone: Annotated[str, typer.Option(help="Of the pods on nodes of this zone.")] = "",
    to_zone: Annotated[str, typer.Option(help="Only what goes to pods on nodes of this zone.")] = "",
    partition: Annotated[bool, typer.Option("--partition", help="Nothing passes, in both directions.")] = False,
    delay: Delay = "",
    jitter: Jitter = "",
    loss: Loss = "",
    duplicate: Duplicate = "",
    reorder: Reorder = "",
    corrupt: Corrupt = "",
    rate: Rate = "",
    duration: Annotated[str, typer.Option(help="As in 30s; without it until the object is deleted.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of the pods.")] = "default",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Spoil what pods send, by a NetworkChaos object: what kubectl deletes, heals."""
    amounts = {"delay": delay, "jitter": jitter, "loss": loss, "duplicate": duplicate, "reorder": reorder}
    spec = network(amounts | {"corrupt": corrupt, "rate": rate}, partition)
    spec |= {"mode": "all", "selector": selector(labels, zone, "SELECTOR")}
    if to or to_zone:
        spec["target"] = {"mode": "all", "selector": selector(to, to_zone, "--to")}
        spec["direction"] = "both" if partition else "to"
    spec |= {"duration": duration} if duration else {}
    body = {"metadata": {"name": f"{spec['action']}-{secrets.token_hex(3)}"}, "spec": spec}

    async def work(client: Client) -> str:
        made = await client.api.create(NETWORK, namespace, body)
        return str(made["metadata"]["name"])

    name = run_connected(data_dir, work)
    typer.echo(f"networkchaos {name} made; it ends with: kubectl delete networkchaos -n {namespace} {name}")
