"""A whole truth table: sources and targets from the API's objects, probed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podwire.proto.kube import resources
from podwire.proto.kube.resources import Resource
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.cluster.visitors import any_addresses
from podwire.scripts.errors import UserError
from podwire.scripts.reach.matrix import Matrix, Origin, Protocol, Target
from podwire.scripts.reach.probing import probe_all
from podwire.scripts.reach.selecting import (
    living,
    node_origin,
    node_targets,
    outside_origin,
    outside_targets,
    pod_origin,
    pod_targets,
    selected,
    service_targets,
)
from podwire.scripts.trace.resolve import node_addresses

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who probes what: see docs/reach.md. `timeout` is seconds an exchange."""

    namespaces: tuple[str, ...] = ("default",)
    ports: tuple[int, ...] = ()
    """Of pods and Services, in the place of those that they declare."""
    machine_ports: tuple[int, ...] = ()
    """Of nodes and of the host outside, which declare none."""
    protocol: Protocol | None = None
    from_: str = ""
    to: str = ""
    services: bool = False
    nodes: bool = False
    external: bool = False
    via: str = ""
    timeout: float = 1.0


async def survey(client: Operator, asked: Asked) -> Matrix:
    """Probes everything that is asked for. Raises UserError."""
    await _check_namespaces(client, asked.namespaces)
    origins, targets = await ends(client, asked)
    _check_found(origins, targets, ", ".join(asked.namespaces), asked.from_, asked.to)
    routers = await node_addresses(client, asked.via, "--via") if asked.via else ()
    return await probe_all(client, origins, targets, asked.timeout, routers)


async def ends(client: Operator, asked: Asked) -> tuple[list[Origin], list[Target]]:
    """The sources and targets that there are."""
    pods = living(await _listed(client, resources.PODS, asked.namespaces))
    offered = await _listed(client, resources.SERVICES, asked.namespaces) if asked.services else []
    origins = await _origins(client, selected(pods, asked.from_), asked.nodes, asked.external)
    ports, protocol = asked.ports, asked.protocol
    targets = [target for pod in selected(pods, asked.to) for target in pod_targets(pod, ports, protocol)]
    for service in selected(offered, asked.to):
        targets += service_targets(service, ports, protocol)
    return origins, [*targets, *await _machines(client, asked)]


async def _machines(client: Operator, asked: Asked) -> list[Target]:
    """Machines and the host outside as targets: they declare no ports, so that only those asked for are probed."""
    if not (asked.machine_ports and (asked.nodes or asked.external)):
        return []
    nodes = await client.api.list(resources.NODES)
    found = [
        node_targets(node, asked.machine_ports, asked.protocol) for node in selected(nodes, asked.to) if asked.nodes
    ]
    if asked.external and not asked.to:
        found.append(outside_targets(nodes, asked.machine_ports, asked.protocol))
    return [target for targets in found for target in targets]


async def _listed(client: Operator, resource: Resource, namespaces: Sequence[str]) -> list[Json]:
    found = [entry for space in namespaces for entry in await client.api.list(resource, space)]
    return sorted(found, key=lambda entry: (entry["metadata"]["namespace"], entry["metadata"]["name"]))


async def _check_namespaces(client: Operator, wanted: Sequence[str]) -> None:
    known = [entry["metadata"]["name"] for entry in await client.api.list(resources.NAMESPACES)]
    for name in wanted:
        if name not in known:
            raise UserError(f"--namespace {name}: no such namespace; namespaces are {', '.join(known)}")


async def _origins(client: Operator, pods: list[Json], nodes: bool, external: bool) -> list[Origin]:
    origins = [pod_origin(pod) for pod in pods]
    if nodes:
        origins += [node_origin(node) for node in await client.api.list(resources.NODES)]
    return [*origins, outside_origin(any_addresses(client.random))] if external else origins


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
