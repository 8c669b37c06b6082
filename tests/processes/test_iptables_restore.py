"""The rules of a running kube-proxy are text that the real iptables-restore takes."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from live_cluster import LiveCluster, podwire, until

from podwire.proto.kube import resources
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.iptables.book import full_text
from podwire.services.kube_proxy.core.ports import ServicePortName, ServicePortState
from podwire.services.kube_proxy.core.surroundings import Surroundings

PROGRAMS = tuple(
    path for name in ("iptables-nft-restore", "iptables-legacy-restore") if (path := shutil.which(name)) is not None
)


def may_use_namespaces() -> bool:
    """Whether a network namespace can be made: no rule of this machine is touched."""
    program = shutil.which("unshare")
    return (
        program is not None
        and subprocess.run([program, "-n", "true"], capture_output=True, check=False).returncode == 0
    )


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not PROGRAMS, reason="no iptables-restore on this machine"),
    pytest.mark.skipif(not may_use_namespaces(), reason="network namespaces need root"),
]


def taken(program: str, text: str) -> str:
    """What the real program complains about in a scratch namespace ("": nothing), when it tests and when it acts."""
    for options in (["--test"], []):
        command = ["unshare", "-n", program, *options]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=20)
        if done.returncode:
            return done.stderr
    return ""


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("rule", ["-A NOWHERE -j NOTHING", "-A PREROUTING --nonsense", "-A PREROUTING -j DNAT"])
def test_the_guard_can_fail(program: str, rule: str) -> None:
    assert taken(program, f"*nat\n{rule}\nCOMMIT\n")


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_iptables_save_prints_on_a_node(cluster: LiveCluster, program: str) -> None:
    affinity = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    ports = [{"name": "a", "port": 80, "nodePort": 30081}, {"name": "b", "port": 53, "protocol": "UDP"}]
    bodies = {
        "rich": {"type": "NodePort", "selector": {"app": "my-api"}, "ports": ports, **affinity},
        "empty": {"selector": {"app": "nobody"}, "ports": [{"port": 443}]},
    }
    for name, spec in bodies.items():
        cluster.apply((resources.SERVICES, {"metadata": {"name": name}, "spec": spec}))
    saved = ""

    def missing() -> str:
        nonlocal saved
        done = podwire("ssh", "node-1", "iptables-save", "--data-dir", cluster.data_dir)
        saved = done.stdout
        return "" if all(f"default/{name}" in saved for name in ("my-api", *bodies)) else done.stderr or saved[-500:]

    try:
        until(missing, 10)
        assert taken(program, saved) == ""
    finally:
        for name in bodies:
            cluster.run(lambda client, name=name: client.api.delete(resources.SERVICES, "default", name))  # type: ignore[misc]  # mypy cannot type a lambda's default


NAME = ServicePortName("production", "web", "https")
REMOTE, LOCAL = (
    Endpoint("10.244.1.5", 8443, False, True, True, False),
    Endpoint("10.244.2.5", 8443, True, True, True, False),
)
STATE = ServicePortState(name=NAME, protocol="tcp", cluster_ip="10.96.3.4", port=443, cluster_endpoints=(REMOTE, LOCAL))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "state",
    [
        STATE,
        replace(STATE, cluster_endpoints=()),
        replace(STATE, protocol="udp"),
        replace(STATE, protocol="sctp"),
        replace(STATE, node_port=31000),
        replace(STATE, node_port=31000, external_local=True, local_endpoints=(LOCAL,)),
        replace(STATE, node_port=31000, external_local=True, local_endpoints=()),
        replace(STATE, internal_local=True, local_endpoints=(LOCAL,)),
        replace(STATE, external_ips=("192.0.2.7",)),
        replace(STATE, load_balancer_ips=("198.51.100.9",)),
        replace(STATE, affinity_seconds=60),
    ],
)  # fmt: skip
def test_what_kube_proxy_generates(program: str, state: ServicePortState) -> None:
    assert taken(program, full_text([state], Surroundings(cluster_cidr="10.244.0.0/16"))) == ""
