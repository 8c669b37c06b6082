"""`podwire inject`: packets of one's own making, and what became of each."""

import json
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.inject.api import crafted, inject_from
from podwire.scripts.inject.fate import Answer, Fate
from podwire.scripts.inject.recipe import Fields
from podwire.scripts.inject.replay import read_file, replayed
from podwire.scripts.inject.session import PATIENCE, Result
from podwire.scripts.trace.resolve import source

_MOST_LINES = 50


def inject(
    from_: Annotated[str, typer.Option("--from", metavar="SOURCE", help="A pod, node/NAME, or external.")],
    to: Annotated[str, typer.Option(metavar="DESTINATION", help="ADDRESS[:PORT], a Service or a pod.")] = "",
    protocol: Annotated[str, typer.Option(help="tcp, udp, sctp, icmp or a number.")] = "",
    tcp_flags: Annotated[str, typer.Option(help="Letters of F S R P A U E C, or none; S if left out.")] = "",
    seq: Annotated[int | None, typer.Option(help="TCP sequence number.")] = None,
    ack: Annotated[int | None, typer.Option(help="TCP acknowledgement number.")] = None,
    window: Annotated[int | None, typer.Option(help="TCP window.")] = None,
    ttl: Annotated[int | None, typer.Option(help="TTL or hop limit.")] = None,
    dscp: Annotated[int | None, typer.Option(help="Differentiated services code point.")] = None,
    df: Annotated[bool, typer.Option("--df", help="Don't fragment.")] = False,
    icmp_type: Annotated[int | None, typer.Option(help="Echo request if left out.")] = None,
    icmp_code: Annotated[int | None, typer.Option(help="ICMP code.")] = None,
    payload: Annotated[str, typer.Option(help="Text to carry.")] = "",
    payload_hex: Annotated[str, typer.Option(help="Bytes to carry, in hexadecimal.")] = "",
    payload_size: Annotated[int | None, typer.Option(help="So many bytes to carry.")] = None,
    source_address: Annotated[str, typer.Option(help="Instead of the source's own: spoofed.")] = "",
    source_port: Annotated[int | None, typer.Option(help="The same for every packet.")] = None,
    count: Annotated[int, typer.Option("--count", "-c", help="Packets to make.")] = 1,
    rate: Annotated[float, typer.Option(help="Packets a second (0: as fast as it goes).")] = 0.0,
    pcap: Annotated[str, typer.Option(metavar="FILE", help="Replay a pcap or pcapng file instead.")] = "",
    device: Annotated[str, typer.Option(help="Where replayed Ethernet frames leave.")] = "eth0",
    via: Annotated[str, typer.Option(metavar="NODE", help="From outside: the node to route through.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds after which a packet counts as lost.")] = PATIENCE,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of pods and Services.")] = "default",
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send raw packets from a pod, a node or outside, and say of each where it went. Exit 1 unless all arrive."""
    fields = Fields(
        protocol=protocol,
        tcp_flags=tcp_flags,
        seq=seq,
        ack=ack,
        window=window,
        ttl=ttl,
        dscp=dscp,
        df=df,
        icmp_type=icmp_type,
        icmp_code=icmp_code,
        payload=payload,
        payload_hex=payload_hex,
        payload_size=payload_size,
        source_address=source_address,
        source_port=source_port,
        count=count,
    )
    check(to, pcap, fields, output)

    async def work(client: Client) -> list[Result]:
        replay = list(replayed(read_file(pcap), pcap)) if pcap else None
        start = await source(client, from_, namespace)
        packets = await crafted(client, start, to, fields, namespace) if replay is None else replay
        return await inject_from(client, start, packets, device=device, via=via, rate=rate, patience=wait)

    results = run_connected(data_dir, work)
    show(results, output)
    raise typer.Exit(0 if all(result.fate.kind == "delivered" for result in results) else 1)


def check(to: str, pcap: str, fields: Fields, output: str) -> None:
    """Refuses options that do not go together. Raises UserError."""
    if output not in ("text", "json"):
        raise UserError(f"--output {output}: text or json is needed")
    if bool(to) == bool(pcap):
        what = "only one of them can be given" if to else "one of them is needed: packets to make, or a file to replay"
        raise UserError(f"--to, --pcap: {what}")
    if pcap and fields != Fields():
        raise UserError("--pcap: its packets are sent as they are; leave the options out that make packets")


def show(results: list[Result], output: str) -> None:
    """Prints what happened, for people or machines."""
    if output == "json":
        typer.echo(json.dumps({"packets": [as_json(result) for result in results]}, indent=1))
        return
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    for result in results[:_MOST_LINES]:
        for line in lines(result):
            console.print(line)
    if len(results) > _MOST_LINES:
        console.print(f"[dim]{len(results) - _MOST_LINES} more packets: -o json shows them[/]")
    console.print(tally(results))


def as_json(result: Result) -> dict[str, Any]:
    """One packet's result as JSON has it."""
    fate: Fate = result.fate
    return {
        "index": result.index,
        "trace": result.trace,
        "packet": fate.summary,
        "fate": fate.kind,
        "place": fate.place,
        "reason": fate.reason,
        "detail": fate.detail,
        "advice": fate.advice,
        "answers": [msgspec.to_builtins(answer) for answer in fate.answers],
        "hops": [msgspec.to_builtins(hop) for hop in fate.hops],
    }


_COLOURS = {"delivered": "green", "dropped": "red", "refused": "red", "lost": "yellow"}


def lines(result: Result) -> list[str]:
    """One packet's result for people."""
    fate = result.fate
    where = f" at {fate.place}" if fate.place else ""
    why = " ".join(part for part in (fate.reason if fate.kind == "dropped" else "", fate.detail) if part)
    colour = _COLOURS[fate.kind]
    told = [f"{result.index + 1:>3}  {escape(fate.summary)}" if fate.summary else f"{result.index + 1:>3}"]
    told.append(f"     [{colour}]{fate.kind}[/]{escape(where)}: {escape(why)}")
    if fate.advice and fate.advice != fate.detail:
        told.append(f"     [dim]why[/] {escape(fate.advice)}")
    for answer in fate.answers:
        told.append(f"     answer {escape(answer.summary)}, to {escape(answer.place)}{escape(_end(answer))}")
    return told


def _end(answer: Answer) -> str:
    """What became of an answer: mostly no socket waits for one to a packet that was made by hand."""
    if answer.reason == "NO_SOCKET":
        return ", where no socket had asked"
    return f", dropped there: {answer.reason}" if answer.reason else ""


def tally(results: list[Result]) -> str:
    """How many packets had which fate, and how many were answered."""
    kinds = [result.fate.kind for result in results]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in _COLOURS if kind in kinds)
    answered = sum(result.fate.is_answered for result in results)
    return f"{len(results)} packet{'s' * (len(results) != 1)}: {counts or 'nothing to send'}; {answered} answered"
