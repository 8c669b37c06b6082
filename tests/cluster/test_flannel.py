"""Flannel's backends in a whole cluster: the ConfigMap chooses, a restart of the DaemonSet's pods takes it over."""

import json

import pytest

from podwire.proto.kube import resources
from podwire.services.cni.flannel.core.leases import PREFIX

from .conftest import Booted
from .test_operator import shell


async def restart_with(booted: Booted, backend: dict[str, object]) -> None:
    """What `kubectl edit cm` and `kubectl rollout restart` do."""
    text = json.dumps({"Network": "10.244.0.0/16", "Backend": backend})
    api, namespace = booted.cluster.api, "kube-system"
    await api.patch(resources.CONFIG_MAPS, namespace, "kube-flannel-cfg", {"data": {"net-conf.json": text}})
    for pod in await api.list(resources.PODS, namespace):
        if pod["metadata"].get("labels", {}).get("app") == "flannel":
            await api.delete(resources.PODS, namespace, pod["metadata"]["name"])


@pytest.mark.parametrize(
    ("backend", "told", "mtu"),
    [({"Type": "host-gw"}, "host-gw", 1500), ({"Type": "vxlan", "DirectRouting": True}, "vxlan", 1450)],
    ids=["host-gw", "direct routing"],
)
def test_nodes_on_one_segment_reach_each_other_without_a_tunnel(
    booted: Booted, backend: dict[str, object], told: str, mtu: int
) -> None:
    cluster, scenario = booted.cluster, booted.scenario

    async def is_taken_over() -> bool:
        nodes = await cluster.api.list(resources.NODES)
        types = [node["metadata"]["annotations"].get(f"{PREFIX}/backend-type") for node in nodes]
        text, _ = await shell(
            booted, "node-1", "ip route show dev eth0 | grep -c '^10.244.*via'; cat /run/flannel/subnet.env"
        )
        return types == [told] * 3 and text.startswith("2\n") and f"FLANNEL_MTU={mtu}" in text

    async def main() -> str:
        await restart_with(booted, backend)
        await cluster.until(is_taken_over, 60, "node-1 has direct routes to both other nodes")
        await scenario.apply_workload()
        assert (await scenario.request()).startswith("HTTP 200")
        text, _ = await shell(booted, "node-1", "ip route | grep -c 'via.*flannel.1'")
        return text

    assert cluster.run(main()) == "0\n"
