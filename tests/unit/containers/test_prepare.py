"""What the containers' volumes and the host's folder hold, made once."""

import json
import os
import stat
from pathlib import Path

import pytest
import yaml

from podwire.scripts.cluster.folder import ClusterFolder, FolderError
from podwire.scripts.containers.plan import SERVERS, containers, names
from podwire.scripts.containers.prepare import PreparationError, prepare
from podwire.scripts.containers.wanted import Wanted, WantedError, wanted

ENVIRONMENT = {
    "PODWIRE_NODES": "3",
    "PODWIRE_IP_FAMILY": "ipv4",
    "PODWIRE_PROXY_MODE": "iptables",
    "PODWIRE_API_PORT": "6443",
    "PODWIRE_BUS_PORT": "4222",
    "PODWIRE_MQTT_PORT": "1883",
    "PODWIRE_SSH_PORT": "2222",
}


class Volumes:
    """The volume with the keys, and the host's folder."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.host = folder / "keys", folder / "host"
        self.keys.mkdir()
        self.host.mkdir()

    def prepare(self, **changes: str) -> None:
        prepare(asked(**changes), self.keys, self.host)

    def contents(self) -> dict[str, str]:
        return {str(path.relative_to(self.keys)): path.read_text() for path in self.keys.rglob("*") if path.is_file()}


def asked(**changes: str) -> Wanted:
    return wanted(ENVIRONMENT | {f"PODWIRE_{name.upper()}": value for name, value in changes.items()})


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    """Nobody but root may give files away; whose they are is tested with an engine."""
    monkeypatch.setattr(os, "chown", lambda path, owner, group: None)
    return Volumes(tmp_path)


def test_every_container_has_a_password_that_the_bus_knows(volumes: Volumes) -> None:
    volumes.prepare()
    passwords = {path.name: path.read_text() for path in (volumes.keys / "passwords").iterdir()}
    plan = names(containers(3, "ipv4"))
    assert set(passwords) == {*plan, "operator", "observer"}
    for name in ("nats", *SERVERS):
        configuration = json.loads((volumes.keys / f"nats/{name}.conf").read_text())
        users = {user["user"]: user["password"] for user in configuration["accounts"]["PODWIRE"]["users"]}
        assert {name: users[process.user] for name, process in plan.items()}.items() <= passwords.items()


def test_servers_of_a_cluster_know_each_other(volumes: Volumes) -> None:
    volumes.prepare()
    configurations = [json.loads((volumes.keys / f"nats/{name}.conf").read_text()) for name in SERVERS]
    assert [entry["server_name"] for entry in configurations] == list(SERVERS)
    routes = {route.rpartition("@")[2] for entry in configurations for route in entry["cluster"]["routes"]}
    assert routes == {f"{name}:6222" for name in SERVERS}
    assert len({entry["cluster"]["authorization"]["password"] for entry in configurations}) == 1


def test_files_are_for_their_owner_alone(volumes: Volumes) -> None:
    volumes.prepare()
    files = [path for path in (*volumes.keys.rglob("*"), *volumes.host.rglob("*")) if path.is_file()]
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) != 0o600] == []


def test_a_second_time_nothing_is_made_anew(volumes: Volumes) -> None:
    volumes.prepare()
    before = volumes.contents()
    volumes.prepare()
    assert volumes.contents() == before


def test_ports_of_the_host_may_change(volumes: Volumes) -> None:
    volumes.prepare()
    volumes.prepare(api_port="7443", bus_port="5222", ssh_port="3222")
    kubeconfig = yaml.safe_load((volumes.host / "kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7443"
    assert "    Port 3222\n" in (volumes.host / "ssh_config").read_text()
    cluster = ClusterFolder(volumes.host).read_cluster()
    assert (cluster.bus_url, cluster.workers) == ("nats://127.0.0.1:5222", 3)


def test_a_cluster_of_another_shape_is_refused(volumes: Volumes) -> None:
    volumes.prepare()
    with pytest.raises(PreparationError, match="docker compose down --volumes begins anew"):
        volumes.prepare(nodes="5")


def test_commands_say_that_the_processes_are_containers(volumes: Volumes) -> None:
    volumes.prepare()
    with pytest.raises(FolderError, match="are containers: docker compose ps"):
        ClusterFolder(volumes.host).read_processes()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"nodes": "three"}, "PODWIRE_NODES"),
        ({"api_port": "0"}, "PODWIRE_API_PORT=0: a port from 1 to 65535 is needed"),
        ({"ssh_port": "ssh"}, "PODWIRE_SSH_PORT=ssh: a port"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(WantedError, match=complaint):
        asked(**changes)


def test_a_variable_that_is_missing_is_named() -> None:
    with pytest.raises(WantedError, match="PODWIRE_NODES is not set; start the cluster with: docker compose up"):
        wanted({})
