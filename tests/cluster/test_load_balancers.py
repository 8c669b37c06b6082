"""Services of type LoadBalancer in a whole cluster: an address, packets through the gateway, other machines' deaths."""

import asyncio
from typing import Any

import pytest

from podwire.proto.kube import resources
from podwire.scripts.inject.outside import outside_host
from podwire.services.node.network.sockets import Network

from .conftest import RULES_SETTLE, Booted


async def _made(booted: Booted, **spec: Any) -> str:
    """A Service in front of the scenario's pods; its address (of several the primary family's)."""
    return (await _all_made(booted, **spec))[0]


async def _all_made(booted: Booted, **spec: Any) -> list[str]:
    api = booted.cluster.api
    await booted.scenario.apply_workload()
    selector = (await api.get(resources.SERVICES, "default", "my-api"))["spec"]["selector"]
    body = {"type": "LoadBalancer", "selector": selector, "ports": [{"port": 80, "targetPort": 80}], **spec}
    await api.create(resources.SERVICES, "default", {"metadata": {"name": "balanced"}, "spec": body})

    async def has_address() -> bool:
        service = await api.get(resources.SERVICES, "default", "balanced")
        return bool(service["status"].get("loadBalancer", {}).get("ingress"))

    await booted.cluster.until(has_address, 10, "the Service has an address")
    await asyncio.sleep(RULES_SETTLE)
    service = await api.get(resources.SERVICES, "default", "balanced")
    return [str(entry["ip"]) for entry in service["status"]["loadBalancer"]["ingress"]]


class Visitor:
    """One host outside of the cluster; a second one with its address would reset its connections."""

    def __init__(self, booted: Booted, *addresses: str) -> None:
        cluster = booted.cluster
        own = addresses or ("172.18.255.9",)
        self._network = Network(outside_host(cluster.operator, cluster.clock, own, seed=5), "")

    async def ask(self, address: str) -> str:
        """The status line of a request."""
        stream = await self._network.connect((address, 80))
        await stream.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = (await stream.read()).decode()
        stream.close()
        return answer.partition("\r\n")[0]


def test_a_client_outside_reaches_the_pods_by_the_balancers_address(booted: Booted) -> None:
    async def main() -> None:
        address, visitor = await _made(booted), Visitor(booted)
        assert address == "172.18.200.1"
        assert await visitor.ask(address) == "HTTP/1.1 200 OK"

    booted.cluster.run(main())


@pytest.mark.parametrize(
    "mode", ["iptables", *(pytest.param(each, marks=pytest.mark.slow) for each in ("ipvs", "nftables"))]
)
@pytest.mark.parametrize(
    ("ip_family", "addresses"),
    [("dual", ["172.18.200.1", "fc00:f853:ccd:e793::c8:1"]), ("ipv6", ["fc00:f853:ccd:e793::c8:1"])],
)
def test_a_balancer_has_an_address_of_each_family(ip_family: str, addresses: list[str], mode: str) -> None:
    booted = Booted(seed=4, workers=2, ip_family=ip_family, proxy_mode=mode)

    async def main() -> None:
        assert await _all_made(booted, ipFamilyPolicy="PreferDualStack") == addresses
        visitor = Visitor(booted, "172.18.255.9", "fc00:f853:ccd:e793::ff09")
        for address in addresses * 3:
            assert await visitor.ask(address) == "HTTP/1.1 200 OK"

    try:
        booted.cluster.run(main())
    finally:
        booted.cluster.close()


def test_an_address_moves_when_its_machine_is_not_ready(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> None:
        address, visitor = await _made(booted), Visitor(booted)
        cluster.pause(cluster.find("kubelet@control-plane"))

        async def is_down() -> bool:
            node = await cluster.api.get(resources.NODES, "", "control-plane")
            return any(c["type"] == "Ready" and c["status"] == "Unknown" for c in node["status"]["conditions"])

        await cluster.until(is_down, 60, "the machine is NotReady")
        await asyncio.sleep(1.0)
        assert await visitor.ask(address) == "HTTP/1.1 200 OK"

    cluster.run(main())


def test_cloud_provider_and_gateway_may_die(booted: Booted) -> None:
    """Without the provider the address goes on; a gateway that comes back empty is programmed again."""
    cluster = booted.cluster

    async def main() -> None:
        address, visitor = await _made(booted), Visitor(booted)
        cluster.kill(cluster.find("cloud-provider"))
        assert await visitor.ask(address) == "HTTP/1.1 200 OK"
        cluster.kill(cluster.find("outside"))
        await asyncio.sleep(15.0)
        assert await visitor.ask(address) == "HTTP/1.1 200 OK"

    cluster.run(main())


def test_a_service_that_is_no_balancer_any_more_gives_its_address_back(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> None:
        await _made(booted)
        await cluster.api.patch(resources.SERVICES, "default", "balanced", {"spec": {"type": "ClusterIP"}})
        await asyncio.sleep(2.0)
        service = await cluster.api.get(resources.SERVICES, "default", "balanced")
        assert not service["status"].get("loadBalancer", {}).get("ingress")

    cluster.run(main())
