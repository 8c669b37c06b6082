"""kube-proxy's three modes on whole clusters: Services work, and another mode takes over without leaving anything."""

import asyncio
from collections.abc import Iterator

import pytest

from podwire.proto.kube import resources
from podwire.scripts.simulation.scenario import REPLICAS

from .conftest import Booted
from .operating import shell

MODES = ("iptables", "ipvs", "nftables")
SIGNS = {
    "iptables": ("iptables-save", "KUBE-SVC-"),
    "ipvs": ("ipvsadm -Ln", "-> 10.244."),
    "nftables": ("nft list ruleset", "table ip kube-proxy"),
}
"""What shows that a mode has written: a command on the machine, and a word of its output."""


@pytest.fixture(params=MODES)
def in_mode(request: pytest.FixtureRequest) -> Iterator[tuple[str, Booted]]:
    made = Booted(seed=5, workers=2, proxy_mode=request.param)
    yield request.param, made
    made.cluster.close()


async def printed(booted: Booted, command: str) -> str:
    """What a command prints on node-1."""
    return (await shell(booted, "node-1", command))[0]


async def signs(booted: Booted) -> dict[str, bool]:
    """Which modes' work stands in node-1's kernel."""
    return {mode: word in await printed(booted, command) for mode, (command, word) in SIGNS.items()}


async def restart_in(booted: Booted, mode: str) -> None:
    """Edits the ConfigMap and deletes the pods, as one does with kubectl."""
    api = booted.cluster.api
    config = await api.get(resources.CONFIG_MAPS, "kube-system", "kube-proxy")
    text = config["data"]["config.conf"]
    before = next(each for each in MODES if f'mode: "{each}"' in text)
    config["data"]["config.conf"] = text.replace(f'mode: "{before}"', f'mode: "{mode}"')
    await api.update(resources.CONFIG_MAPS, config)
    for pod in await api.list(resources.PODS, "kube-system"):
        if pod["metadata"]["name"].startswith("kube-proxy-"):
            await api.delete(resources.PODS, "kube-system", pod["metadata"]["name"])
    await asyncio.sleep(3)
    await booted.cluster.until(booted.scenario.whole, 30, "every kube-proxy runs again")
    await asyncio.sleep(3)


def test_services_work_in_every_mode_and_another_takes_over(in_mode: tuple[str, Booted]) -> None:
    mode, booted = in_mode
    following = MODES[(MODES.index(mode) + 1) % len(MODES)]

    async def main() -> None:
        await booted.scenario.apply_workload()
        assert (await booted.scenario.request()).startswith("HTTP 200")
        assert await signs(booted) == {each: each == mode for each in MODES}
        await restart_in(booted, following)
        assert (await booted.scenario.request()).startswith("HTTP 200")
        assert await signs(booted) == {each: each == following for each in MODES}

    booted.cluster.run(main())


def test_an_unknown_mode_is_refused_by_name(booted: Booted) -> None:
    cluster = booted.cluster

    async def main() -> str:
        config = await cluster.api.get(resources.CONFIG_MAPS, "kube-system", "kube-proxy")
        text = config["data"]["config.conf"].replace('mode: "iptables"', 'mode: "userspace"')
        config["data"]["config.conf"] = text
        await cluster.api.update(resources.CONFIG_MAPS, config)
        victim = next(
            pod
            for pod in await cluster.api.list(resources.PODS, "kube-system")
            if pod["metadata"]["name"].startswith("kube-proxy-") and pod["spec"]["nodeName"] == "node-1"
        )
        await cluster.api.delete(resources.PODS, "kube-system", victim["metadata"]["name"])
        await asyncio.sleep(15)
        pods = await cluster.api.list(resources.PODS, "kube-system")
        [status] = [
            pod["status"]["containerStatuses"][0]
            for pod in pods
            if pod["metadata"]["name"].startswith("kube-proxy-") and pod["spec"]["nodeName"] == "node-1"
        ]
        return str(status["lastState"]["terminated"]["message"])

    assert cluster.run(main()) == "mode: 'userspace' is none of iptables, ipvs, nftables (blank means iptables)"


def test_the_node_reaches_its_proxys_servers(booted: Booted) -> None:
    cluster = booted.cluster
    service = {
        "metadata": {"name": "asked"},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31999,
            "selector": {"app": "my-api"},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    }

    async def code(path: str) -> str:
        return (await printed(booted, f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{path}")).strip()

    async def main() -> None:
        assert (await code("10256/healthz"), await code("10256/livez")) == ("200", "200")
        assert await printed(booted, "curl -s http://127.0.0.1:10249/proxyMode") == "iptables"
        metrics = await printed(booted, "curl -s http://127.0.0.1:10249/metrics")
        assert 'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}' in metrics
        assert 'kubeproxy_proxy_healthz_total{code="200"} 1' in metrics
        await cluster.api.create(resources.SERVICES, "default", service)
        await asyncio.sleep(2)
        assert await code("31999/") == "503", "no endpoint is here"
        await booted.scenario.apply_workload()
        await asyncio.sleep(2)
        pods = await cluster.api.list(resources.PODS, "default")
        here = [pod for pod in pods if pod["spec"]["nodeName"] == "node-1"]
        assert await code("31999/?") == ("200" if here else "503")
        await cluster.api.delete(resources.SERVICES, "default", "asked")
        await asyncio.sleep(2)
        assert await code("31999/gone") == "000", "its port is closed"

    cluster.run(main())


def test_every_node_measures_how_long_a_change_of_endpoints_took_to_be_in_force(booted: Booted) -> None:
    """From the pod's Ready condition, of which whole seconds are known, to the rules: minSyncPeriod at most."""
    cluster, name = booted.cluster, "kubeproxy_network_programming_duration_seconds"
    probe = {"tcpSocket": {"port": 80}, "initialDelaySeconds": 2, "periodSeconds": 1}
    container = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}], "readinessProbe": probe}

    async def measured(node: str) -> tuple[int, float]:
        page = (await shell(booted, node, "curl -s http://127.0.0.1:10249/metrics"))[0]
        lines = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        count, total = (lines.get(f'{name}_{what}{{ip_family="IPv4"}}', "0") for what in ("count", "sum"))
        return int(count), float(total)

    async def main() -> None:
        await booted.scenario.apply_workload()
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await cluster.api.patch(resources.DEPLOYMENTS, "default", "my-api", body)
        await asyncio.sleep(10)
        for machine in cluster.layout.machines:
            count, total = await measured(machine.name)
            assert count >= REPLICAS, "each new pod became Ready once"
            assert 0 < total < 2.2 * count

    cluster.run(main())
