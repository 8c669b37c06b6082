"""The podwire command where something is in the way: one clear line, exit code 2, no traceback, nothing left."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from live_cluster import LiveCluster, podwire, processes_of, until


def refused(*arguments: str) -> str:
    """What a command that must be refused says: one line on stderr."""
    done = podwire(*arguments)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    [line] = done.stderr.strip().splitlines()
    return line


def test_a_second_up_in_the_same_folder_is_refused(cluster: LiveCluster) -> None:
    assert "podwire down" in refused("up", "--api-port", "0", "--data-dir", cluster.data_dir)
    assert cluster.missing() == ""


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused("up", "--api-port", port, "--data-dir", str(tmp_path / "c"))
    assert port in line and "choose another" in line
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--nodes", "0"], "--nodes"),
        (["up", "--api-port", "70000"], "--api-port"),
        (["up", "--cni", "calico2"], "--cni"),
        (["status"], "podwire up"),
        (["chaos", "kill", "coredns"], "podwire up"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    assert says in refused(*arguments, "--data-dir", str(tmp_path / "c"))
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ssh", "node-9", "ip link"], "node-9"),
        (["chaos", "kill", "kubelet"], "ambiguous"),
        (["trace", "node-1", "nothing-here"], "nothing-here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_exist_in_a_running_cluster(cluster: LiveCluster, arguments: list[str], says: str) -> None:
    assert says in refused(*arguments, "--data-dir", cluster.data_dir)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--data-dir" in refused("up", "--api-port", "0", "--data-dir", str(tmp_path / "file" / "c"))


def test_a_nats_server_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODWIRE_NATS_SERVER", "/bin/true")
    assert "2.12" in refused("up", "--api-port", "0", "--data-dir", str(tmp_path / "c"))
    monkeypatch.setenv("PODWIRE_NATS_SERVER", "/nowhere/nats-server")
    assert "PODWIRE_NATS_SERVER" in refused("up", "--api-port", "0", "--data-dir", str(tmp_path / "c"))


def test_status_for_machines(cluster: LiveCluster) -> None:
    done = podwire("status", "-o", "json", "--data-dir", cluster.data_dir)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and Path(told["kubeconfig"]).exists()
    assert {"apiserver", "node", "kubelet", "flannel", "kube-proxy", "coredns", "nats"} <= {
        entry["component"] for entry in told["processes"]
    }


def test_ssh_shows_the_machine_and_passes_the_exit_code_on(cluster: LiveCluster) -> None:
    node = next(pod.node for name, pod in cluster.pods().items() if name.startswith("default/my-api-"))
    done = podwire("ssh", node, "ip link show type bridge", "--data-dir", cluster.data_dir)
    assert (done.returncode, "cni0" in done.stdout, done.stderr) == (0, True, "")
    failed = podwire("ssh", "node-1", "ip link show dev nothing0", "--data-dir", cluster.data_dir)
    assert failed.returncode != 0 and "nothing0" in failed.stderr and failed.stdout == ""


@pytest.mark.slow
def test_a_stale_folder_is_taken_over_and_nothing_is_left_behind(new_cluster: Callable[[], LiveCluster]) -> None:
    cluster = new_cluster()
    cluster.up()
    os.kill(cluster.folder.read_cluster().supervisor, signal.SIGKILL)
    until(lambda: "\n".join(processes_of(cluster.folder.path)), 5)
    assert (cluster.folder.path / "processes.json").exists(), "it is stale, and says so to nobody"
    assert "no cluster runs" in refused("status", "--data-dir", cluster.data_dir)
    cluster.up()
    assert cluster.missing() == ""
    cluster.down("--purge")
    assert processes_of(cluster.folder.path) == [] and not cluster.folder.path.exists()
