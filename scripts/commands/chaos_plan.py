"""`podwire chaos run` and `podwire chaos pods`: plans with a steady state, and faults of pods as objects."""

import asyncio
import secrets
import signal
from typing import Annotated, Final

import typer

from podwire.proto.kube.resources import Resource
from podwire.proto.messages.process import Impairment
from podwire.scripts.chaos import processes
from podwire.scripts.chaos.links import BadDirection
from podwire.scripts.chaos.plan import Plan, read_plan
from podwire.scripts.chaos.plan_report import OUTPUTS
from podwire.scripts.chaos.pod_faults import network, selector
from podwire.scripts.chaos.running import Nothing, Report, Runner
from podwire.scripts.chaos.standing import Standing, Wrong, macs, tell
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError

_TELL_EVERY: Final = 1.0
_NETWORK: Final = Resource("chaos-mesh.org", "v1alpha1", "networkchaos", "NetworkChaos")


class LiveBreaking:
    """Processes that are killed or paused, and machines that are parted, as long as a plan holds."""

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client, self._plan = client, plan
        self._standing = Standing(client.folder.path)
        self._paused: list[str] = []
        self._telling: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Raises UserError for a target that there is not."""
        known = macs(self._client.cluster)
        for machine in (machine for pair in self._plan.partition for machine in pair):
            if machine not in known:
                raise UserError(f"partition: {machine!r}: no such machine; there are {', '.join(known)}")
        for target in self._plan.pause:
            processes.send(self._client.folder, target, signal.SIGSTOP)
            self._paused.append(target)
        for target in self._plan.kill:
            processes.kill(self._client.folder, target)
        if self._plan.partition:
            lost = Impairment(loss=1)
            bad = [BadDirection(*ends, lost) for pair in self._plan.partition for ends in (pair, pair[::-1])]
            self._standing.add(Wrong(bad=bad))
            await tell(self._client, self._standing.all())
            self._telling = asyncio.get_running_loop().create_task(self._keep_telling())

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            await tell(self._client, self._standing.all())

    async def end(self) -> None:
        """Idempotent."""
        while self._paused:
            processes.send(self._client.folder, self._paused.pop(), signal.SIGCONT)
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
            self._standing.remove()
            await tell(self._client, self._standing.all())


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
    delay: Annotated[str, typer.Option(help="Each packet is late, as in 100ms.")] = "",
    jitter: Annotated[str, typer.Option(help="By so much more or less.")] = "",
    loss: Annotated[str, typer.Option(help="The share that is lost, as in 10%.")] = "",
    duplicate: Annotated[str, typer.Option(help="The share that arrives twice.")] = "",
    reorder: Annotated[str, typer.Option(help="The share that is not late, and so overtakes.")] = "",
    corrupt: Annotated[str, typer.Option(help="The share with one wrong bit.")] = "",
    rate: Annotated[str, typer.Option(help="As in 1mbit.")] = "",
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
        made = await client.api.create(_NETWORK, namespace, body)
        return str(made["metadata"]["name"])

    name = run_connected(data_dir, work)
    typer.echo(f"networkchaos {name} made; it ends with: kubectl delete networkchaos -n {namespace} {name}")
