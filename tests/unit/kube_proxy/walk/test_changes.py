"""What walks through a kernel while Services, modes and clients change."""

import itertools
from typing import Any

import pytest
from proxy_services import ZONE, fold, objects
from proxy_world import World

from podwire.proto.messages import kernel as m
from podwire.proto.subjects import ObjectKey
from podwire.services.kube_proxy.core.family import FAMILIES, Family
from podwire.services.kube_proxy.core.fold import Fold
from podwire.services.kube_proxy.core.leftovers import leftovers
from podwire.services.kube_proxy.core.modes import MODES

SECOND = 1_000_000_000
LOCAL = {"ready": True, "serving": True}


def given(name: str, endpoints: tuple[str, ...], **spec: Any) -> dict[str, Any]:
    """A Service of one port with some endpoints."""
    ports = [{"name": "", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 0}]
    return {"name": name, "number": 90, "endpoints": dict.fromkeys(endpoints, LOCAL), "ports": ports, "spec": spec}


class Changing:
    """A world and a fold: what is said to the fold is written at once."""

    def __init__(self, mode: str, family: Family) -> None:
        self.world, self.fold = World(mode, family), Fold("node-1", family, ZONE)
        self.world.write_all({})

    def apply(self, service: dict[str, Any]) -> None:
        """Creates or changes a Service and its endpoints."""
        made, endpoint_slice = objects(service, self.fold.family)
        self.fold.service(ObjectKey("", "services", "ns", service["name"]), made)
        self.fold.slice(ObjectKey("", "endpointslices", "ns", service["name"]), endpoint_slice)
        self.sync()

    def delete(self, name: str) -> None:
        """Deletes a Service and its endpoints."""
        self.fold.service(ObjectKey("", "services", "ns", name), None)
        self.fold.slice(ObjectKey("", "endpointslices", "ns", name), None)
        self.sync()

    def sync(self) -> None:
        """A partial sync and what follows it."""
        book = self.world.rulebook
        self.world.update(*self.fold.take())
        answers = [row for reply in self.world.do(*book.follow_up()) for row in reply]
        self.world.do(*book.followed(answers))

    def arrivals(self, source: str, attempts: int = 12) -> set[str]:
        """Where packets to the Service end."""
        return {each.at for each in self.world.send(source, "172.30.0.90", "tcp", 80, attempts)}

    def held(self) -> str:
        """What stands in the kernel, without counters and handles."""
        iptables, nftables, ipsets, services, links, addresses = self.world.do(
            *(m.Read(kind=kind, family=self.fold.family) for kind in _KINDS)  # type: ignore[arg-type]  # of the kinds
        )
        lines = [line.partition("] ")[2] or line for line in iptables.splitlines() if not line.startswith("#")]
        rows = [(each.address, each.port, each.persistent) for each in services]
        return repr((sorted(lines), nftables, sorted(ipsets.splitlines()), rows, addresses, len(links)))


_KINDS = ("iptables-save", "nft-ruleset", "ipset-save", "ipvs-services", "links", "addresses")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", MODES)
def test_clients_stay_with_an_endpoint_until_the_timeout(mode: str, family: Family) -> None:
    seen = Changing(mode, family)
    affinity = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}}
    seen.apply(given("sticky", ("l1", "l2", "r1", "r2"), **affinity))
    mine = [seen.arrivals(source) for source in ("pod", "client", "allowed", "other_node", "remote_pod")]
    assert [len(found) for found in mine] == [1] * 5, "a client stays where it was"
    assert seen.arrivals("pod") == mine[0]
    later = set()
    for _ in range(12):
        seen.world.now += 700 * SECOND
        seen.world.kernel.run_timers(seen.world.now)
        later |= seen.arrivals("pod", 1)
    assert len(later) > 1, "after the timeout it may go anywhere"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", MODES)
def test_endpoints_come_and_go(mode: str, family: Family) -> None:
    seen = Changing(mode, family)
    for endpoints in (("l1",), ("l1", "r1"), ("r2",), (), ("l2", "r1", "r2"), ("l2",)):
        seen.apply(given("web", endpoints))
        expected = {f"{name}:8080" for name in endpoints} or {"REJECT"}
        assert seen.arrivals("pod", 24) == expected
    seen.delete("web")
    assert seen.arrivals("pod", 1) == {"as is"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", MODES)
def test_a_service_that_is_gone_leaves_nothing(mode: str, family: Family) -> None:
    seen = Changing(mode, family)
    before = seen.held()
    for change in ({}, {"externalIPs": ["192.168.99.90"]}, {"sessionAffinity": "ClientIP"}, {"externalIPs": []}):
        seen.apply(given("web", ("l1", "r1"), **change))
    for seconds in (60, 90):
        config = {"clientIP": {"timeoutSeconds": seconds}}
        seen.apply(given("web", ("l1",), sessionAffinity="ClientIP", sessionAffinityConfig=config))
    seen.delete("web")
    seen.sync()
    assert seen.held() == before


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(MODES, 2)))
def test_another_mode_takes_over_and_leaves_nothing_of_the_first(one: str, other: str) -> None:
    """What stands afterwards is what the second mode alone would have written."""
    known = fold("ipv4")
    known.take()
    fresh = World(other, "ipv4")
    fresh.write_all(known.states)
    fresh.do(*leftovers(other, "ipv4", fresh.observe()))
    switched = World(one, "ipv4")
    switched.write_all(known.states)
    switched.mode, switched.rulebook = fresh.mode, MODES[other].rulebook(fresh.around)
    switched.write_all(known.states)
    switched.do(*leftovers(other, "ipv4", switched.observe()))
    expected, found = _without_initval(fresh), _without_initval(switched)
    assert found == expected


def _without_initval(world: World) -> tuple[list[str], str, list[str], int, bool]:
    seen = world.observe()
    rules = [line.partition("] ")[2] or line for line in seen.iptables.splitlines() if not line.startswith("#")]
    chains = sorted(line.split(" [")[0] for line in rules if "KUBE-" in line and "KUBE-FIREWALL" not in line)
    sets = sorted(line.split(" bucketsize")[0] for line in seen.ipsets.splitlines())
    return chains, seen.nftables, sets, len(seen.virtual_services), seen.has_dummy


def test_a_full_sync_of_what_is_there_already_changes_nothing_in_ipvs_mode() -> None:
    known = fold("ipv4")
    known.take()
    world = World("ipvs", "ipv4")
    world.write_all(known.states)
    kinds = {type(operation).__name__ for operation in world.rulebook.full(known.states, world.observe())}
    assert kinds == {"SysctlWrite", "IptablesRestore"}


def test_a_server_drains_while_its_connections_last() -> None:
    """Weight 0 first; deleted when no connection is left (graceful termination)."""
    seen = Changing("ipvs", "ipv4")
    seen.apply(given("web", ("l1", "l2")))
    kernel = seen.world.kernel
    listener = kernel.namespace("l1").sockets.listen_tcp(("0.0.0.0", 8080), 8)
    clients = []
    for port in range(30_000, 30_004):
        client = kernel.namespace("pod").sockets.open_tcp()
        client.bind(("0.0.0.0", port))
        client.connect(("172.30.0.90", 80))
        clients.append(client)
    assert listener.accept() is not None
    seen.apply(given("web", ("l2",)))
    [service] = seen.world.do(m.Read(kind="ipvs-services"))[0]
    assert {(each.server, each.weight) for each in service.destinations} == {("10.180.1.11", 0), ("10.180.1.12", 1)}
    for client in clients:
        client.abort()
    seen.world.now += 1000 * SECOND
    kernel.run_timers(seen.world.now)
    seen.sync()
    [service] = seen.world.do(m.Read(kind="ipvs-services"))[0]
    assert [each.server for each in service.destinations] == ["10.180.1.12"]
