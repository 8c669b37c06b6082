"""What must hold of a cluster once nothing is wrong with it any more, each under its name.

Each check looks at the cluster as an operator can and answers what is wrong, in a line each; no lines: it holds.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.kube import resources
from podwire.proto.messages.machine import Connect
from podwire.scripts.cluster.readiness import is_ready
from podwire.scripts.simulation.callers import Callers, runs_on
from podwire.scripts.simulation.cluster import SimulatedCluster
from podwire.scripts.simulation.watcher import Watcher
from podwire.scripts.simulation.workload import CALLER, NAMESPACE, WEB, Churn

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined."""

    cluster: SimulatedCluster
    churn: Churn
    callers: Callers
    watcher: Watcher

    @property
    def nodes(self) -> list[str]:
        """The names of the machines that were not taken away."""
        machines = self.cluster.layout.machines
        return [machine.name for machine in machines if machine.name not in self.cluster.taken_away]


Check = Callable[[Subject], Awaitable[list[str]]]


async def killed_components_recover(subject: Subject) -> list[str]:
    """Every process is there, every node and every system pod is Ready."""
    cluster, api = subject.cluster, subject.cluster.api
    running = {entry.plan.place: None for entry in cluster.processes if entry.alive}
    wanted = [plan for plan in cluster.layout.processes if plan.node not in cluster.taken_away]
    wrong = [f"no process {plan.place}" for plan in wanted if plan.place not in running]
    nodes = await api.list(resources.NODES)
    wrong += [f"node {name} is not registered" for name in subject.nodes if name not in _names(nodes)]
    wrong += [f"node {name} was taken away" for name in _names(nodes) if name not in subject.nodes]
    pods = await api.list(resources.PODS, "kube-system")
    return wrong + [f"{_of(entry)} is not Ready" for entry in (*nodes, *pods) if not is_ready(entry)]


async def workloads_are_whole(subject: Subject) -> list[str]:
    """As many pods as are wanted, all Ready, none that never ends."""
    api = subject.cluster.api
    deployment = await api.get(resources.DEPLOYMENTS, NAMESPACE, WEB)
    pods = await api.list(resources.PODS, NAMESPACE)
    wanted = {WEB: deployment["spec"]["replicas"], CALLER: len(subject.nodes) - 1}
    wrong = [f"{_of(pod)} is not Ready" for pod in pods if not is_ready(pod)]
    wrong += [f"{_of(pod)} is being deleted" for pod in pods if "deletionTimestamp" in pod["metadata"]]
    for app, count in wanted.items():
        have = sum(pod["metadata"]["labels"].get("app") == app for pod in pods)
        wrong += [f"{app}: {have} pods, wanted {count}"] if have != count else []
    return wrong


async def pod_addresses_are_unique(subject: Subject) -> list[str]:
    """No two pods share an address (the machines' own excepted)."""
    seen: dict[str, str] = {}
    wrong = []
    for pod in await subject.cluster.api.list(resources.PODS):
        addresses = [entry["ip"] for entry in pod["status"].get("podIPs", [])]
        if pod["spec"].get("hostNetwork"):
            continue
        for address in addresses:
            if address in seen:
                wrong.append(f"{address} is the address of {seen[address]} and of {_of(pod)}")
            seen[address] = _of(pod)
    return wrong


async def routes_follow_nodes(subject: Subject) -> list[str]:
    """Every machine routes each other node's pods to that node, and nothing to nodes that are not there."""
    nodes = await subject.cluster.api.list(resources.NODES)
    owners = {node["spec"]["podCIDR"]: node["metadata"]["name"] for node in nodes if node["spec"].get("podCIDR")}
    wrong = []
    for name in subject.nodes:
        text, _ = await subject.cluster.prober.shell(name, "ip -j route show")
        routes = json.loads(text or "[]")
        remote = {route["dst"] for route in routes if route.get("dev", "").startswith("flannel")}
        wanted = {cidr for cidr, owner in owners.items() if owner != name}
        remote = {destination for destination in remote if destination.endswith("/24")}
        wrong += [f"{name} has no route to {cidr} of {owners[cidr]}" for cidr in sorted(wanted - remote)]
        wrong += [f"{name} has a route to {cidr}, which no node has" for cidr in sorted(remote - wanted)]
    return wrong


async def ready_endpoints_are_reachable(subject: Subject) -> list[str]:
    """From every machine and from a pod on each: every Ready endpoint itself, and the Services by TCP and UDP."""
    slices = await subject.cluster.api.list(resources.ENDPOINT_SLICES, NAMESPACE)
    ready = [
        address
        for entry in slices
        if entry["metadata"].get("labels", {}).get("kubernetes.io/service-name") == WEB
        for endpoint in entry.get("endpoints") or []
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
    ]
    if not ready:
        return [f"Service {WEB} has no Ready endpoint"]
    wrong: list[str] = []
    pods = await subject.cluster.api.list(resources.PODS, NAMESPACE)
    for node in subject.nodes:
        for source in ["", *(pod["metadata"]["name"] for pod in pods if runs_on(pod, node, CALLER))]:
            wrong += await _reach(subject, node, source, ready)
    return wrong


async def _reach(subject: Subject, node: str, source: str, endpoints: Iterable[str]) -> list[str]:
    callers = subject.callers
    calls: list[Connect] = [callers.http(source, address) for address in endpoints]
    calls += [callers.http(source, callers.service), callers.datagram(source)]
    wrong = []
    for call in calls:
        outcome = await subject.cluster.prober.connect(node, call)
        if not outcome.success:
            wrong.append(f"{source or node} -> {call.kind} {call.address}:{call.port}: {outcome.text}")
    return wrong


async def acknowledged_writes_are_kept(subject: Subject) -> list[str]:
    """What the API server said yes to is there, unless a later write took its place."""
    wrong = []
    for name, writes in subject.churn.writes.items():
        note = await subject.cluster.api.get(resources.CONFIG_MAPS, NAMESPACE, name)
        if not writes.may_be(state := note["data"]["state"]):
            wrong.append(f"{name} is {state!r}; acknowledged was {writes.acknowledged!r}, then tried {writes.possible}")
    return wrong


async def watches_agree_with_lists(subject: Subject) -> list[str]:
    """A watch that was open all along has the same objects at the same revisions as a list."""
    wrong = []
    for resource, seen in subject.watcher.revisions().items():
        listed = {_of(entry): int(entry["metadata"]["resourceVersion"]) for entry in await _list(subject, resource)}
        differing = sorted(key for key in {*seen, *listed} if seen.get(key) != listed.get(key))
        wrong += [f"{resource} {key}: watched {seen.get(key)}, listed {listed.get(key)}" for key in differing]
    return wrong


async def _list(subject: Subject, resource: str) -> list[Json]:
    return await subject.cluster.api.list(subject.watcher.resource(resource))


CHECKS: Final[dict[str, Check]] = {
    "killed-components-recover": killed_components_recover,
    "workloads-are-whole": workloads_are_whole,
    "pod-addresses-are-unique": pod_addresses_are_unique,
    "routes-follow-nodes": routes_follow_nodes,
    "ready-endpoints-are-reachable": ready_endpoints_are_reachable,
    "acknowledged-writes-are-kept": acknowledged_writes_are_kept,
    "watches-agree-with-lists": watches_agree_with_lists,
}
"""In the order in which they can begin to hold."""


def _of(body: Json) -> str:
    return f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}".lstrip("/")


def _names(bodies: list[Json]) -> list[str]:
    return [body["metadata"]["name"] for body in bodies]
