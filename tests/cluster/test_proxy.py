"""The SOCKS5 proxy's way into a whole cluster: names through CoreDNS, connections through a node."""

import asyncio

import pytest

from podwire.proto.kube import resources
from podwire.scripts.inject.outside import outside_host
from podwire.scripts.proxy import socks
from podwire.scripts.proxy.server import Proxy, Refused
from podwire.services.chassis.chance import RandomStream
from podwire.services.node.network.sockets import Network

from .conftest import RULES_SETTLE, Booted

DNS = "10.96.0.10"


def test_services_and_pods_are_reached_by_name_and_by_address(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> None:
        await booted.scenario.apply_workload()
        await asyncio.sleep(RULES_SETTLE)
        shell = outside_host(cluster.operator, cluster.clock, ("172.18.255.9",), ("172.18.0.3",), seed=5)
        proxy = Proxy(Network(shell, ""), DNS, "cluster.local", RandomStream(6), [].append)
        service = await cluster.api.get(resources.SERVICES, "default", "my-api")
        names = ("my-api", "my-api.default", "my-api.default.svc.cluster.local", service["spec"]["clusterIP"])
        for host in names:
            stream = await proxy.connect(socks.Request(host, 80))
            await stream.write(b"GET / HTTP/1.0\r\n\r\n")
            assert b"Welcome to nginx!" in await stream.read()
            stream.close()
        for host, port, code in (
            ("nothing", 80, socks.HOST_UNREACHABLE),
            ("my-api", 81, socks.NETWORK_UNREACHABLE),
            ("172.18.0.3", 81, socks.CONNECTION_REFUSED),
            ("not a name at all", 80, socks.HOST_UNREACHABLE),
        ):
            with pytest.raises(Refused) as refused:
                await proxy.connect(socks.Request(host, port))
            assert (host, refused.value.code) == (host, code)

    cluster.run(main())
