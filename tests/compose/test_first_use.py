"""`docker compose up`, and what a user does then."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.compose.composed import Composed
from tests.compose.engine import ROOT

from podwire.proto.kube import resources
from podwire.scripts.cluster.client import Client
from podwire.scripts.cluster.readiness import is_ready

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
SHORT_LIVED = ("prepare", "bootstrap")


def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.2)


def test_all_nodes_are_ready(composed: Composed) -> None:
    async def main(client: Client) -> dict[str, bool]:
        return {node["metadata"]["name"]: is_ready(node) for node in await client.api.list(resources.NODES)}

    assert composed.run(main) == dict.fromkeys(("control-plane", "node-1", "node-2", "node-3"), True)


@needs_kubectl
def test_the_tutorials_service_is_curled_from_a_pod(composed: Composed) -> None:
    composed.kubectl("apply", "-f", str(ROOT / "scripts/demo/my-api.yaml"))
    waited = composed.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s")
    assert waited.count("condition met") == 2, waited
    curl = ("exec", "deploy/debug", "--", "curl", "-s", "http://my-api")
    until(lambda: composed.kubectl(*curl) == "hello from my-api\n", 10)


def test_podwire_on_the_host_reaches_it(composed: Composed) -> None:
    command = [sys.executable, "-m", "podwire.scripts", "trace", "node-1", "172.18.0.4"]
    done = subprocess.run(
        [*command, "--data-dir", str(composed.folder.path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wire node-1 -> node-2" in done.stdout


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh")
def test_ssh_reaches_its_machines(composed: Composed) -> None:
    command = ["ssh", "-F", "ssh_config", "node-2", "ip -o -4 addr show dev eth0"]
    done = subprocess.run(command, cwd=composed.folder.path, capture_output=True, text=True, timeout=60, check=False)
    assert "172.18.0.4/16" in done.stdout, done.stderr


def test_the_hosts_files_are_their_owners(composed: Composed) -> None:
    files = [composed.folder.kubeconfig, composed.folder.ssh_key, composed.folder.path / "cluster.json"]
    assert {(path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) for path in files} == {(os.getuid(), 0o600)}


def test_no_container_has_more_rights_than_it_needs(composed: Composed) -> None:
    host = [f"{{{{json .HostConfig.{name}}}}}" for name in ("ReadonlyRootfs", "CapDrop", "SecurityOpt")]
    form = " ".join(["{{.Config.User}}", *host])
    wanted = '10001:10001 true ["ALL"] ["no-new-privileges:true"]'
    told = {service: composed.inspect(service, form) for service in composed.services() if service != "prepare"}
    assert {service: rights for service, rights in told.items() if rights != wanted} == {}


def test_ports_are_on_loopback_only(composed: Composed) -> None:
    ports = [composed.inspect(service, "{{json .HostConfig.PortBindings}}") for service in composed.services()]
    addresses = {entry["HostIp"] for text in ports for bound in (json.loads(text) or {}).values() for entry in bound}
    assert addresses == {"127.0.0.1"}


def test_every_container_is_healthy(composed: Composed) -> None:
    lasting = [service for service in composed.services() if service not in SHORT_LIVED]

    def told() -> dict[str, str]:
        return {name: composed.inspect(name, "{{.State.Health.Status}}") for name in lasting}

    until(lambda: "starting" not in told().values(), 90)
    assert told() == dict.fromkeys(lasting, "healthy")


def test_what_crashes_is_started_again(composed: Composed) -> None:
    before = int(composed.inspect("kube-proxy-node-2", "{{.RestartCount}}"))
    composed.crash("kube-proxy-node-2")
    until(lambda: int(composed.inspect("kube-proxy-node-2", "{{.RestartCount}}")) > before, 30)
    assert composed.inspect("kube-proxy-node-2", "{{.RestartCount}} {{.State.Running}}") == f"{before + 1} true"


def on_node_1(cluster: Composed, command: str) -> str:
    """What a command prints on a machine."""
    arguments = ["ssh", "--data-dir", str(cluster.folder.path), "node-1", command]
    return subprocess.run(
        [sys.executable, "-m", "podwire.scripts", *arguments], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_a_cluster_goes_on_after_down_and_up(new_cluster: Callable[[str], Composed]) -> None:
    cluster = new_cluster("single")
    cluster.up()
    body = {"metadata": {"name": "kept"}, "data": {"a": "b"}}

    async def write(client: Client) -> str:
        made = await client.api.create(resources.CONFIG_MAPS, "default", body)
        return str(made["metadata"]["uid"])

    async def read(client: Client) -> str:
        return str((await client.api.get(resources.CONFIG_MAPS, "default", "kept"))["metadata"]["uid"])

    written = cluster.run(write)
    on_node_1(cluster, "echo kept >/srv/file")
    cluster.compose("down", "--timeout", "1")
    cluster.up()
    assert cluster.run(read) == written
    assert on_node_1(cluster, "cat /srv/file") == "kept\n", "the machine's disk is a volume"


def test_larger_clusters_are_written_by_the_script(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts/compose.py", "--nodes", "5"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.count("podwire.services.kubelet]") == 6
