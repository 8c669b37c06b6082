"""Clusters with both IP families: addresses of nodes, pods and Services, and packets of both between pods."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from podwire.proto.kube import resources

from .conftest import Booted
from .test_operator import shell

FAMILIES = ["IPv4", "IPv6"]


@pytest.fixture
def dual() -> Iterator[Booted]:
    made = Booted(seed=17, workers=2, ip_family="dual")
    yield made
    made.cluster.close()


def families(addresses: list[str]) -> list[str]:
    return ["IPv6" if ":" in address else "IPv4" for address in addresses]


def texts(values: list[dict[str, Any]], name: str) -> list[str]:
    return [value[name] for value in values]


async def pods_of(booted: Booted, namespace: str = "default") -> list[dict[str, Any]]:
    return await booted.cluster.api.list(resources.PODS, namespace)


def test_nodes_pods_and_their_files_have_addresses_of_both_families(dual: Booted) -> None:
    async def main() -> None:
        for node in await dual.cluster.api.list(resources.NODES):
            internal = [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
            assert families(internal) == FAMILIES
            assert families(node["spec"]["podCIDRs"]) == FAMILIES
            assert node["spec"]["podCIDR"] == node["spec"]["podCIDRs"][0]
        await dual.scenario.apply_workload()
        for pod in await pods_of(dual):
            addresses = texts(pod["status"]["podIPs"], "ip")
            assert (families(addresses), pod["status"]["podIP"]) == (FAMILIES, addresses[0])
            assert families(texts(pod["status"]["hostIPs"], "ip")) == FAMILIES
        [cidr] = await dual.cluster.api.list(resources.Resource("networking.k8s.io", "v1", "servicecidrs", "", False))
        assert cidr["spec"]["cidrs"] == ["10.96.0.0/16", "fd00:10:96::/112"]
        assert cidr["status"]["conditions"][0]["status"] == "True"

    dual.cluster.run(main())


def test_packets_of_both_families_reach_every_pod_from_every_node(dual: Booted) -> None:
    async def main() -> None:
        await dual.scenario.apply_workload()
        for pod in await pods_of(dual):
            for address in texts(pod["status"]["podIPs"], "ip"):
                for node in ("control-plane", "node-1", "node-2"):
                    text, code = await shell(dual, node, f"ping -c 1 -W 2 {address}")
                    assert code == 0, f"{node} to {address}: {text}"

    dual.cluster.run(main())


def test_a_service_of_both_families_has_slices_of_both(dual: Booted) -> None:
    async def main() -> None:
        await dual.scenario.apply_workload()
        body = {"spec": {"ipFamilyPolicy": "RequireDualStack"}}
        changed = await dual.cluster.api.patch(resources.SERVICES, "default", "my-api", body)
        assert families(changed["spec"]["clusterIPs"]) == FAMILIES

        async def both() -> bool:
            slices = await dual.cluster.api.list(resources.ENDPOINT_SLICES, "default")
            mine = [each for each in slices if each["metadata"]["labels"].get("kubernetes.io/service-name") == "my-api"]
            sizes = {each["addressType"]: len(each["endpoints"]) for each in mine}
            return sizes == {"IPv4": 2, "IPv6": 2}

        await dual.cluster.until(both, 10, "slices of both families")
        older = await dual.cluster.api.get(resources.ENDPOINTS, "default", "my-api")
        assert set(families(texts(older["subsets"][0]["addresses"], "ip"))) == {"IPv4"}

    dual.cluster.run(main())


def test_kube_proxy_leads_a_services_ipv6_address_to_its_pods(dual: Booted) -> None:
    cluster, scenario = dual.cluster, dual.scenario

    async def main() -> None:
        await scenario.apply_workload()
        body = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}
        service = await cluster.api.patch(resources.SERVICES, "default", "my-api", body)
        await asyncio.sleep(3)
        [address] = [each for each in service["spec"]["clusterIPs"] if ":" in each]
        pods = await cluster.api.list(resources.PODS, "default")
        rules, _ = await shell(dual, "node-1", "ip6tables-save -t nat")
        assert f"-d {address}/128 -p tcp" in rules
        for pod in pods:
            [own] = [each["ip"] for each in pod["status"]["podIPs"] if ":" in each["ip"]]
            assert f"--to-destination [{own}]:80" in rules

    cluster.run(main())
