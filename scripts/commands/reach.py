"""`podwire reach`: who can reach whom, by real exchanges."""

from typing import Annotated, Final

import typer

from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.reach.expectation import Rule, compared, idle, read_rules
from podwire.scripts.reach.matrix import PROTOCOLS, Matrix, Protocol
from podwire.scripts.reach.report import OUTPUTS, Report
from podwire.scripts.reach.survey import Asked, survey
from podwire.scripts.reach.svg import picture
from podwire.services.chassis.durations import parse_duration

_OUTPUTS: Final = {**OUTPUTS, "svg": picture}


def reach(
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Of pods and Services; may be repeated (default: default)."),
    ] = None,
    port: Annotated[list[int] | None, typer.Option(help="Probe it, not the ports declared; may be repeated.")] = None,
    protocol: Annotated[str, typer.Option(help="tcp, udp or sctp (of declared ports their own, of --port tcp).")] = "",
    from_: Annotated[str, typer.Option("--from", metavar="SELECTOR", help="Pods that probe, by labels.")] = "",
    to: Annotated[str, typer.Option("--to", metavar="SELECTOR", help="Pods and Services probed, by labels.")] = "",
    services: Annotated[bool, typer.Option("--services", help="Probe Services' cluster IPs too.")] = False,
    nodes: Annotated[bool, typer.Option("--nodes", help="Let every node probe (with --port be probed) too.")] = False,
    external: Annotated[
        bool, typer.Option("--external", help="Let a host outside probe (with --port be probed) too.")
    ] = False,
    via: Annotated[str, typer.Option(metavar="NODE", help="The node that the host outside routes through.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for an answer, as in 500ms.")] = "1s",
    expect: Annotated[str, typer.Option(metavar="FILE", help="Rules to compare with; exit 1 where it differs.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="table, json, junit, markdown or svg.")] = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Probe every pod against every pod, and print who reaches whom.

    A row is a source, a column a target's port. The marks:

    .  reached: a connection was made (UDP: a datagram came back)

    X  refused or unreachable: a reset, an ICMP error, no route; the reason is told

    -  no answer within --timeout; asked once more when the others are done

    ?  not probed: a pod without an address, a machine that takes no probe
    """
    wanted_protocol = _protocol(protocol)
    seconds = _seconds(timeout)
    _check(output, port or [], via, external)
    rules = read_rules(expect) if expect else []

    asked = Asked(
        namespaces=tuple(dict.fromkeys(namespace or ["default"])),
        ports=tuple(port or []),
        machine_ports=tuple(port or []),
        protocol=wanted_protocol,
        from_=from_,
        to=to,
        services=services,
        nodes=nodes,
        external=external,
        via=via,
        timeout=seconds,
    )

    async def work(client: Client) -> Report:
        return _report(await survey(client, asked), rules)

    report = run_connected(data_dir, work)
    typer.echo(_OUTPUTS[output](report), nl=output != "svg")
    if output in ("json", "junit", "svg"):
        typer.echo(report.matrix.tally(), err=True)
    raise typer.Exit(1 if report.differences else 0)


def _report(matrix: Matrix, rules: list[Rule]) -> Report:
    return Report(matrix, compared(matrix.results, rules), idle(matrix.results, rules), bool(rules))


# -- options


def _protocol(text: str) -> Protocol | None:
    found = next((known for known in PROTOCOLS if text == known), None)
    if text and found is None:
        raise UserError(f"--protocol {text}: tcp, udp or sctp is needed")
    return found


def _seconds(text: str) -> float:
    seconds = parse_duration(text)
    if not seconds or seconds > 3600:
        raise UserError(f"--timeout {text}: a duration above 0 and up to 1h is needed, as in 500ms")
    return seconds


def _check(output: str, ports: list[int], via: str, external: bool) -> None:
    if output not in _OUTPUTS:
        raise UserError(f"--output {output}: {', '.join(_OUTPUTS)}: one of them is needed")
    for port in ports:
        if not 0 < port < 65536:
            raise UserError(f"--port {port}: a number from 1 to 65535 is needed")
    if via and not external:
        raise UserError(f"--via {via}: it is the way of the host outside; --external is needed with it")
