"""Clusters with both IP families: addresses of nodes, pods and Services, and packets of both between pods."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from podwire.proto.kube import resources
from podwire.scripts.cluster.readiness import is_ready

from .conftest import RULES_SETTLE, Booted
from .operating import shell
from .test_containers import Pods

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


SERVER = {
    "name": "server",
    "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
    "args": ["netexec", "--http-port=8080", "--udp-port=8081"],
    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    "ports": [{"containerPort": 8080, "hostPort": 18080}],
}


async def serve(booted: Booted) -> list[str]:
    """A server on node-2; its addresses."""
    await Pods(booted).create("server", SERVER, nodeName="node-2")
    server = await Pods(booted).until("server", is_ready, 30, "the server is Ready")
    return texts(server["status"]["podIPs"], "ip")


async def output(booted: Booted, node: str, script: str, **container: Any) -> str:
    """What a script prints in a pod on a node."""
    name = f"client-{node}"
    program = {"name": "c", "image": "nicolaka/netshoot", "command": ["sh", "-c", script], **container}
    await Pods(booted).create(name, program, nodeName=node, restartPolicy="Never")
    await Pods(booted).until(name, lambda pod: pod["status"].get("phase") == "Succeeded", 60, f"{name} is done")
    return await Pods(booted).log(name, "c")


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_programs_reach_servers_over_both_families(dual: Booted, node: str) -> None:
    """From another node and from the same one: HTTP, TCP, UDP, ICMP; packets that are too big for the tunnel."""

    async def main() -> None:
        lines = []
        for address in await serve(dual):
            host = f"[{address}]" if ":" in address else address
            lines += [
                f"curl -s -m 5 http://{host}:8080/hostname; echo",
                f"wget -q -O - http://{host}:8080/hostname; echo",
                f"echo hostname | nc -u -w 1 {address} 8081; echo",
                f"nc -z -w 2 {address} 8080; echo $?",
                f"ping -c 1 -W 2 {address} | grep -c 'from {address}'",
                f"curl -s -m 5 'http://{host}:8080/echo?msg='$(printf 'x%.0s' $(seq 1 4000)) | wc -c",
            ]
        text = await output(dual, node, "; ".join(lines))
        assert text.split() == ["server", "server", "server", "0", "1", "4000"] * 2

    dual.cluster.run(main())


def test_pods_know_both_of_their_addresses(dual: Booted) -> None:
    async def main() -> None:
        field = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}
        script = "echo $PODS; cat /etc/hosts; ip route; ip -6 route"
        text = await output(dual, "node-1", script, env=[{"name": "PODS", **field}])
        client = await Pods(dual).get("client-node-1")
        addresses = texts(client["status"]["podIPs"], "ip")
        assert text.startswith(",".join(addresses) + "\n")
        for expected in (
            *(f"{address}\tclient-node-1" for address in addresses),
            "default via 10.244.1.1 dev eth0",
            "10.244.0.0/16 via 10.244.1.1 dev eth0",
            "default via fd00:10:244:1::1 dev eth0",
            "fd00:10:244::/56 via fd00:10:244:1::1 dev eth0",
        ):
            assert expected in text

    dual.cluster.run(main())


def test_host_ports_lead_into_pods_over_both_families(dual: Booted) -> None:
    async def main() -> None:
        await serve(dual)
        for address in ("172.18.0.4", "[fc00:f853:ccd:e793::4]"):
            text, code = await shell(dual, "node-1", f"curl -s -m 5 http://{address}:18080/hostname")
            assert (text, code) == ("server", 0), address

    dual.cluster.run(main())


ROUTES = "ip -6 route | grep flannel; ip route | grep flannel"


def test_running_pods_keep_both_families_when_the_agents_restart(dual: Booted) -> None:
    async def main() -> None:
        addresses = await serve(dual)
        before, _ = await shell(dual, "node-1", ROUTES)
        for node in ("node-1", "node-2"):
            dual.cluster.kill(dual.cluster.find(f"flannel@{node}"))
        for address in addresses:
            _, code = await shell(dual, "node-1", f"ping -c 1 -W 2 {address}")
            assert code == 0, address
        await asyncio.sleep(15)
        after, _ = await shell(dual, "node-1", ROUTES)
        assert after == before
        assert [line.split()[0] for line in after.splitlines() if " via " in line] == [
            "fd00:10:244::/64",
            "fd00:10:244:2::/64",
            "10.244.0.0/24",
            "10.244.2.0/24",
        ]

    dual.cluster.run(main())


def test_a_node_that_goes_is_forgotten_in_both_families_and_learned_again(dual: Booted) -> None:
    async def main() -> None:
        async def is_known() -> bool:
            text, _ = await shell(dual, "node-1", "ip -6 route | grep -c 'fd00:10:244:2::/64 via'")
            return text == "1\n"

        async def is_forgotten() -> bool:
            return not await is_known()

        assert await is_known()
        node = await dual.cluster.api.get(resources.NODES, "", "node-2")
        await dual.cluster.api.delete(resources.NODES, "", "node-2")
        await dual.cluster.until(is_forgotten, 5, "node-1 forgets node-2")
        await dual.cluster.until(is_known, 60, "node-1 learns node-2 again")
        again = await dual.cluster.api.get(resources.NODES, "", "node-2")
        assert again["metadata"]["uid"] != node["metadata"]["uid"]
        assert again["spec"]["podCIDRs"] == node["spec"]["podCIDRs"]

    dual.cluster.run(main())


CONFLIST = "/etc/cni/net.d/10-flannel.conflist"


def test_a_node_without_addresses_says_so_on_the_pod(dual: Booted) -> None:
    async def main() -> None:
        folder = "/var/lib/cni/networks/cbr0"
        each = "[ -e 10.244.1.$i ] || echo lost > 10.244.1.$i"
        fill = f"mkdir -p {folder}; cd {folder}; for i in $(seq 2 254); do {each}; done"
        assert (await shell(dual, "node-1", fill))[1] == 0
        await Pods(dual).create("late", SERVER, nodeName="node-1")

        async def has_said() -> bool:
            return bool(await Pods(dual).events("late", "FailedCreatePodSandBox"))

        await dual.cluster.until(has_said, 30, "the pod says why it does not start")
        text = (await Pods(dual).events("late", "FailedCreatePodSandBox"))[0]
        why = "no IP addresses available in range set: 10.244.1.1-10.244.1.254"
        assert f'plugin type="flannel" failed (add): failed to allocate for range 0: {why}' in text
        await shell(dual, "node-1", f"grep -l lost {folder}/* | head -1 | xargs rm")
        await Pods(dual).until("late", is_ready, 60, "the pod has an address")

    dual.cluster.run(main())


def test_what_pods_leave_that_end_without_plugins_is_collected(dual: Booted) -> None:
    async def main() -> None:
        addresses = await serve(dual)
        look = "ls /var/lib/cni/networks/cbr0 /var/lib/cni/results; iptables-save; ip6tables-save"

        async def left() -> list[str]:
            text, _ = await shell(dual, "node-2", look)
            return [address for address in addresses if address in text]

        assert await left() == addresses
        await shell(dual, "node-2", f"mv {CONFLIST} {CONFLIST}.kept")
        await dual.cluster.api.delete(resources.PODS, "default", "server")
        await Pods(dual).until_gone("server", 60)
        assert await left() == addresses
        await shell(dual, "node-2", f"mv {CONFLIST}.kept {CONFLIST}")
        await asyncio.sleep(6)
        assert await left() == [], await shell(dual, "node-2", look)

    dual.cluster.run(main())


def test_names_of_both_families(dual: Booted) -> None:
    """IPv6 stands first in glibc's images, unique local addresses last in musl's; -4 and -6 choose; what does not
    answer over IPv6 is asked over IPv4 before long. An address may have several host aliases."""

    async def main() -> None:
        first, second = await serve(dual)
        names = [(first, "both"), (second, "both"), ("fd00:10:244:1::dead", "half"), (first, "half")]
        aliases = [{"ip": address, "hostnames": [name]} for address, name in names]
        get = "curl -s -o /dev/null -w '%{remote_ip} '"
        calls = [f"{get} {rest}:8080" for rest in ("both", "-4 both", "-6 both", "-m 1 half")]
        ways = {
            "glibc": ("nginx", "; ".join(calls), [second, first, second, first]),
            "musl": (
                "nicolaka/netshoot",
                "; ".join([*calls, "nc -6 -z both 8080", "echo $?"]),
                [first, first, second, first, "0"],
            ),
        }
        for name, (image, script, wanted) in ways.items():
            container = {"name": "c", "image": image, "command": ["sh", "-c", script]}
            await Pods(dual).create(name, container, nodeName="node-1", restartPolicy="Never", hostAliases=aliases)
            await Pods(dual).until(name, lambda pod: pod["status"].get("phase") == "Succeeded", 60, f"{name} is done")
            assert (await Pods(dual).log(name, "c")).split() == wanted

    dual.cluster.run(main())


@pytest.fixture
def only_ipv6() -> Iterator[Booted]:
    made = Booted(seed=19, workers=2, ip_family="ipv6")
    yield made
    made.cluster.close()


def test_a_cluster_may_have_ipv6_alone(only_ipv6: Booted) -> None:
    """Nodes, pods, Services, programs: nothing has an IPv4 address, and everything works."""

    async def main() -> None:
        api = only_ipv6.cluster.api
        [address] = await serve(only_ipv6)
        body = {"metadata": {"name": "server"}, "spec": {"selector": {"app": "server"}, "ports": [{"port": 8080}]}}
        await api.patch(resources.PODS, "default", "server", {"metadata": {"labels": {"app": "server"}}})
        service = await api.create(resources.SERVICES, "default", body)
        cluster_ip = service["spec"]["clusterIP"]
        assert (service["spec"]["ipFamilies"], families([address, cluster_ip])) == (["IPv6"], ["IPv6", "IPv6"])
        await asyncio.sleep(RULES_SETTLE)
        script = "; ".join(
            f"curl -s -m 5 http://[{each}]:{port}/hostname; echo"
            for each, port in ((address, 8080), (cluster_ip, 8080), ("fc00:f853:ccd:e793::4", 18080))
        )
        assert (await output(only_ipv6, "node-1", f"{script}; ip -4 addr show eth0 | wc -l")).split() == [
            *["server"] * 3,
            "0",
        ]
        for node in await api.list(resources.NODES):
            assert families([each["address"] for each in node["status"]["addresses"][:1]]) == ["IPv6"]
            assert families(node["spec"]["podCIDRs"]) == ["IPv6"]
        slices = await api.list(resources.ENDPOINT_SLICES, "default")
        assert {each["addressType"] for each in slices} == {"IPv6"}

    only_ipv6.cluster.run(main())


def test_services_are_reached_over_both_families(dual: Booted) -> None:
    """ClusterIPs and node ports, from a pod on another node, from the backend's own node, and from the machine."""

    async def main() -> None:
        await serve(dual)
        await dual.cluster.api.patch(resources.PODS, "default", "server", {"metadata": {"labels": {"app": "server"}}})
        spec = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}
        body = {"metadata": {"name": "s"}, "spec": spec | {"type": "NodePort", "ipFamilyPolicy": "RequireDualStack"}}
        service = await dual.cluster.api.create(resources.SERVICES, "default", body)
        await asyncio.sleep(RULES_SETTLE)
        places = [*(f"[{each}]" if ":" in each else each for each in service["spec"]["clusterIPs"])]
        places += ["172.18.0.3:30080", "[fc00:f853:ccd:e793::3]:30080"]
        script = "; ".join(f"curl -s -m 5 http://{place}/hostname; echo" for place in places)
        for node in ("node-1", "node-2"):
            assert (await output(dual, node, script)).split() == ["server"] * 4, node
            text, _ = await shell(dual, node, script)
            assert text.split() == ["server"] * 4, node

    dual.cluster.run(main())
