"""`podwire trace SOURCE DESTINATION`: one real exchange, followed rule by rule."""

import asyncio
import json
import secrets
import sys
from typing import Annotated, Literal, cast

import msgspec
import typer
from rich.console import Console

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.trace.flights import Flight, flights
from podwire.scripts.trace.render import tree
from podwire.scripts.trace.resolve import Destination, Source, destination, source
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError

_SETTLE = 0.1
_WIDE = 500


def trace(
    from_: Annotated[str, typer.Argument(metavar="SOURCE", help="A pod or a node.")],
    to: Annotated[str, typer.Argument(metavar="DESTINATION", help="A URL, a Service, a pod, or ADDRESS[:PORT].")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of pods and Services.")] = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="tree or json.")] = "tree",
    everything: Annotated[bool, typer.Option("--all", help="Every packet, not only the first and its reply.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule on the way, not only those that decided.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 5.0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Follow a packet hop by hop: device, table, chain, rule, NAT, encapsulation, drop reason."""
    if output not in ("tree", "json"):
        raise UserError(f"--output {output}: tree or json is needed")

    async def work(client: Client) -> bool:
        start = await source(client, from_, namespace)
        end = await destination(client, to, namespace)
        outcome, hops = await follow(client, start, end, timeout)
        show(start, end, outcome, flights(hops), output, everything, rules)
        return outcome.success

    raise typer.Exit(0 if run_connected(data_dir, work) else 1)


async def follow(client: Client, start: Source, end: Destination, timeout: float) -> tuple[messages.Outcome, list[Hop]]:
    """Makes one traced exchange; what came of it and its hops. Raises UserError."""
    name = secrets.token_hex(8)
    call = messages.Connect(
        trace=name,
        namespace=start.namespace,
        pod=start.pod,
        kind=cast(Literal["http", "tcp", "udp", "icmp"], end.kind),
        address=end.address,
        port=end.port,
        host=end.host,
        path=end.path,
        timeout=timeout,
    )
    answer = await client.ask_machine(start.node, call, timeout + 5)
    if not isinstance(answer, messages.Outcome):
        raise UserError(answer.message if isinstance(answer, messages.Refused) else "the machine did not trace")
    await asyncio.sleep(_SETTLE)
    try:
        payload = await pieces.request(client.bus, subjects.TRACES, name.encode(), 5.0)
    except BusError as error:
        raise UserError(f"the recorder does not answer: {error}") from None
    hops: list[Hop] = codec.decode_union(list[Hop], payload)
    return answer, hops


def show(
    start: Source,
    end: Destination,
    outcome: messages.Outcome,
    found: list[Flight],
    output: str,
    everything: bool = False,
    every_rule: bool = False,
) -> None:
    """Prints a trace for people or machines."""
    if output == "json":
        value = {
            "source": str(start),
            "destination": str(end),
            "success": outcome.success,
            "outcome": outcome.text,
            "nanoseconds": outcome.duration,
            "packets": [
                {"summary": flight.summary, "hops": [msgspec.to_builtins(hop) for hop in flight.hops]}
                for flight in found
            ],
        }
        typer.echo(json.dumps(value, indent=1))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(f"{start}  ->  {end}")
    for flight in found if everything else chosen(found):
        console.print(tree(flight, "reply" if flight.is_reply else "request", every_rule))
    left = 0 if everything else len(found) - len(chosen(found))
    if left:
        console.print(f"[dim]{left} more packets of this connection: --all shows them[/]")
    mark = "[green]ok[/]" if outcome.success else "[red]failed[/]"
    console.print(f"{mark}  {outcome.text}  [dim]{outcome.duration / 1e6:.2f} ms[/]")


def chosen(found: list[Flight]) -> list[Flight]:
    """The first packet, the first reply, and every packet that died."""
    replies = [flight for flight in found[1:] if flight.is_reply][:1] or found[1:2]
    dead = [flight for flight in found if flight.died is not None]
    picked = dict.fromkeys(index for index, flight in enumerate(found) if flight in (*found[:1], *replies, *dead))
    return [found[index] for index in picked]
