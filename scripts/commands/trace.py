"""`podwire trace SOURCE DESTINATION`: one real exchange, followed rule by rule."""

import asyncio
import json
import math
import secrets
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.markup import escape

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import machine as messages
from podwire.proto.messages.telemetry import Hop
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.trace.flights import Flight, flights
from podwire.scripts.trace.render import for_people, tree
from podwire.scripts.trace.resolve import Destination, Source, destination, node_addresses, source
from podwire.scripts.trace.sequence import diagram
from podwire.scripts.trace.svg import render
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError

_SETTLE = 0.1

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


async def follow(
    client: Client, start: Source, end: Destination, timeout: float, via: str = ""
) -> tuple[messages.Outcome, list[Hop]]:
    """Makes one traced exchange; what came of it and its hops. Raises UserError."""
    name = secrets.token_hex(8)
    call = messages.Connect(
        trace=name,
        namespace=start.namespace,
        pod=start.pod,
        kind=end.kind,
        address=end.address,
        port=end.port,
        host=end.host,
        path=end.path,
        timeout=timeout,
    )
    answer = await _exchange(client, start, call, via)
    await asyncio.sleep(_SETTLE)
    try:
        payload = await pieces.request(client.bus, subjects.TRACES, name.encode(), 5.0)
    except BusError as error:
        raise UserError(f"the recorder does not answer: {error}") from None
    hops: list[Hop] = codec.decode_union(list[Hop], payload)
    return answer, hops


async def _exchange(client: Client, start: Source, call: messages.Connect, via: str) -> messages.Outcome:
    if start.is_external:
        from podwire.scripts.trace.outside import exchange_from_outside  # a kernel: half a second to import

        routers = await node_addresses(client, via, "--via") if via else ()
        return await exchange_from_outside(client, call, start.addresses, routers)
    if via:
        raise UserError(f"--via {via}: only packets from outside take a way that can be chosen; leave it out")
    answer = await client.ask_machine(start.node, call, call.timeout + 5)
    if not isinstance(answer, messages.Outcome):
        raise UserError(answer.message if isinstance(answer, messages.Refused) else "the machine did not trace")
    return answer


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


def chosen(found: list[Flight]) -> list[Flight]:
    """The first packet, the first reply, and every packet that died."""
    replies = [flight for flight in found[1:] if flight.is_reply][:1] or found[1:2]
    dead = [flight for flight in found if flight.died is not None]
    picked = dict.fromkeys(index for index, flight in enumerate(found) if flight in (*found[:1], *replies, *dead))
    return [found[index] for index in picked]
