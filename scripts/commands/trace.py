"""`podwire trace SOURCE DESTINATION`: one real exchange, followed rule by rule."""

import json
import math
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.markup import escape

from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.trace.exchange import follow
from podwire.scripts.trace.flights import Flight, chosen, flights
from podwire.scripts.trace.render import for_people, tree
from podwire.scripts.trace.resolve import Destination, Source, destination, source
from podwire.scripts.trace.sequence import diagram
from podwire.scripts.trace.svg import render

NO_WAY: Final = "no packet left: a host outside has no route there; --via NODE names the node to route through"


def trace(
    from_: Annotated[str, typer.Argument(metavar="SOURCE", help="A pod, a node, or external.")],
    to: Annotated[str, typer.Argument(metavar="DESTINATION", help="A URL, a Service, a pod, or ADDRESS[:PORT].")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of pods and Services.")] = "default",
    protocol: Annotated[str, typer.Option(help="tcp, udp, sctp or icmp, if not as DESTINATION says.")] = "",
    via: Annotated[str, typer.Option(metavar="NODE", help="From outside: the node to route through.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="tree, json or svg.")] = "tree",
    svg: Annotated[str, typer.Option(metavar="FILE", help="Also write a sequence diagram.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every packet, not only the first and its reply.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule on the way, not only those that decided.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 5.0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Follow a packet hop by hop: device, table, chain, rule, NAT, encapsulation, drop reason."""
    if output not in ("tree", "json", "svg"):
        raise UserError(f"--output {output}: tree, json or svg is needed")
    if not (math.isfinite(timeout) and 0 < timeout <= 3600):
        raise UserError(f"--timeout {timeout:g}: a number of seconds above 0 and up to 3600 is needed")

    async def work(client: Client) -> bool:
        start = await source(client, from_, namespace)
        end = await destination(client, to, namespace, protocol)
        outcome, hops = await follow(client, start, end, timeout, via)
        found = flights(hops)
        if svg:
            write(svg, picture(start, end, outcome, found if everything else chosen(found)))
        show(start, end, outcome, found, output, everything, rules)
        if start.is_external and not found:
            typer.echo(NO_WAY, err=True)
        return outcome.success

    raise typer.Exit(0 if run_connected(data_dir, work) else 1)


def picture(start: Source, end: Destination, outcome: messages.Outcome, found: list[Flight]) -> str:
    """A sequence diagram as SVG."""
    mark = "ok" if outcome.success else "failed"
    result = f"{mark}: {outcome.text}, {outcome.duration / 1e6:.2f} ms"
    return render(diagram(f"{start.described(end.address)} → {end}", found, result))


def write(name: str, text: str) -> None:
    """Writes a file. Raises UserError."""
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--svg {name}: {error.strerror}") from None


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
    if output == "svg":
        typer.echo(picture(start, end, outcome, found if everything else chosen(found)), nl=False)
        return
    if output == "json":
        value = {
            "source": start.described(end.address),
            "destination": str(end),
            "success": outcome.success,
            "outcome": outcome.text,
            "nanoseconds": outcome.duration,
            "packets": [
                {
                    "summary": flight.summary,
                    "is_reply": flight.is_reply,
                    "hops": [msgspec.to_builtins(hop) for hop in flight.hops],
                }
                for flight in found
            ],
        }
        typer.echo(json.dumps(value, indent=1))
        return
    console = for_people()
    console.print(escape(f"{start.described(end.address)}  ->  {end}"))
    for flight in found if everything else chosen(found):
        console.print(tree(flight, flight.title, every_rule))
    left = 0 if everything else len(found) - len(chosen(found))
    if left:
        console.print(f"[dim]{left} more packets of this connection: --all shows them[/]")
    mark = "[green]ok[/]" if outcome.success else "[red]failed[/]"
    console.print(f"{mark}  {escape(outcome.text)}  [dim]{outcome.duration / 1e6:.2f} ms[/]")
