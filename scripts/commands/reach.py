"""`podwire reach`: who can reach whom, by real exchanges."""

from typing import Annotated, Any

import typer

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.scripts.cluster.client import Client, run_connected
from podwire.scripts.cluster.visitors import any_addresses
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.reach.expectation import Rule, compared, idle, read_rules
from podwire.scripts.reach.matrix import PROTOCOLS, Matrix, Origin, Protocol, Target
from podwire.scripts.reach.probing import probe_all
from podwire.scripts.reach.report import OUTPUTS, Report
from podwire.scripts.reach.selecting import (
    living,
    node_origin,
    outside_origin,
    pod_origin,
    pod_targets,
    selected,
    service_targets,
)
from podwire.scripts.trace.resolve import node_addresses
from podwire.services.chassis.durations import parse_duration

Json = dict[str, Any]


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
    nodes: Annotated[bool, typer.Option("--nodes", help="Let every node probe too.")] = False,
    external: Annotated[bool, typer.Option("--external", help="Let a host outside probe too.")] = False,
    via: Annotated[str, typer.Option(metavar="NODE", help="The node that the host outside routes through.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for an answer, as in 500ms.")] = "1s",
    expect: Annotated[str, typer.Option(metavar="FILE", help="Rules to compare with; exit 1 where it differs.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="table, json, junit or markdown.")] = "table",
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

    async def work(client: Client) -> Report:
        spaces = list(dict.fromkeys(namespace or ["default"]))
        await _check_namespaces(client, spaces)
        pods = living(await _listed(client, resources.PODS, spaces))
        offered = await _listed(client, resources.SERVICES, spaces) if services else []
        origins = await _origins(client, selected(pods, from_), nodes, external)
        targets = [target for pod in selected(pods, to) for target in pod_targets(pod, port or [], wanted_protocol)]
        for service in selected(offered, to):
            targets += service_targets(service, port or [], wanted_protocol)
        _check_found(origins, targets, ", ".join(spaces), from_, to)
        routers = await node_addresses(client, via, "--via") if via else ()
        return _report(await probe_all(client, origins, targets, seconds, routers), rules)

    report = run_connected(data_dir, work)
    typer.echo(OUTPUTS[output](report))
    if output in ("json", "junit"):
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
    if output not in OUTPUTS:
        raise UserError(f"--output {output}: {', '.join(OUTPUTS)}: one of them is needed")
    for port in ports:
        if not 0 < port < 65536:
            raise UserError(f"--port {port}: a number from 1 to 65535 is needed")
    if via and not external:
        raise UserError(f"--via {via}: it is the way of the host outside; --external is needed with it")


# -- what there is


async def _listed(client: Client, resource: Resource, namespaces: list[str]) -> list[Json]:
    found = [entry for space in namespaces for entry in await client.api.list(resource, space)]
    return sorted(found, key=lambda entry: (entry["metadata"]["namespace"], entry["metadata"]["name"]))


async def _check_namespaces(client: Client, wanted: list[str]) -> None:
    known = [entry["metadata"]["name"] for entry in await client.api.list(resources.NAMESPACES)]
    for name in wanted:
        if name not in known:
            raise UserError(f"--namespace {name}: no such namespace; namespaces are {', '.join(known)}")


async def _origins(client: Client, pods: list[Json], nodes: bool, external: bool) -> list[Origin]:
    origins = [pod_origin(pod) for pod in pods]
    if nodes:
        origins += [node_origin(node) for node in await client.api.list(resources.NODES)]
    return [*origins, outside_origin(any_addresses())] if external else origins


def _check_found(origins: list[Origin], targets: list[Target], spaces: str, from_: str, to: str) -> None:
    if not origins:
        raise UserError(
            f"--from {from_}: no pod in namespace {spaces} has such labels"
            if from_
            else f"--namespace {spaces}: no pods there; other namespaces are named with -n"
        )
    if not targets:
        raise UserError(
            f"--to {to}: nothing in namespace {spaces} has such labels and a port to probe (--port names one)"
            if to
            else f"--namespace {spaces}: nothing there declares a port to probe; --port names one"
        )
