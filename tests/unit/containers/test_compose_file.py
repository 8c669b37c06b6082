"""compose.yaml: one container a process, with no more rights than it needs; the file in the repository is current."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from podwire.scripts.cluster.components import COMPONENTS
from podwire.scripts.cluster.layout import LayoutError
from podwire.scripts.containers.composing import compose_file
from podwire.scripts.containers.plan import containers, names
from podwire.services.chassis.settings import load

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(compose_file(3, "ipv4"))["services"]
PROCESSES = names(containers(3, "ipv4"))


def test_the_file_in_the_repository_is_what_the_script_writes() -> None:
    assert (ROOT / "compose/compose.yaml").read_text() == compose_file(3, "ipv4")


def test_every_process_has_a_container() -> None:
    assert set(SERVICES) == {*PROCESSES, "prepare", "bootstrap", "nats", "nats-1", "nats-2", "nats-3"}
    assert len(PROCESSES) == len(containers(3, "ipv4").processes)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["user"] == "0:0", "cap_add" in service) == (name == "prepare",) * 2


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_only(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_reads_its_settings_from_the_environment(name: str) -> None:
    service, process = SERVICES[name], PROCESSES[name]
    component = COMPONENTS[process.component]
    environment = {key: str(value) for key, value in service["environment"].items()}
    password_file = environment.pop("PODWIRE_BUS_PASSWORD_FILE")
    settings = load(component.settings, {"instance": "a"}, environment)
    assert password_file == f"/keys/passwords/{name}"
    assert {field: getattr(settings, field) for field in process.settings} == process.settings
    assert service["command"] == ["python", "-m", component.package]


@pytest.mark.parametrize("name", [*PROCESSES, "nats", "nats-1", "nats-2", "nats-3"])
def test_a_process_is_restarted_and_asked_how_it_is(name: str) -> None:
    assert SERVICES[name]["restart"] == "always"
    assert SERVICES[name]["healthcheck"]["interval"] == "10s"


def test_a_larger_cluster_has_more_machines() -> None:
    services = yaml.safe_load(compose_file(7, "dual"))["services"]
    assert services["node-7"]["environment"]["PODWIRE_ADDRESS"] == "172.18.0.9/16,fc00:f853:ccd:e793::9/64"
    assert len(services) == len(SERVICES) + 4 * 4


def test_a_cluster_without_machines_is_refused() -> None:
    with pytest.raises(LayoutError, match="--nodes 0: a number from 1"):
        compose_file(0, "ipv4")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nodes", "0"], "--nodes 0: a number from 1"),
        (["--ip-family", "ipv5"], "--ip-family ipv5"),
    ],
)
def test_the_script_says_what_is_wrong(arguments: list[str], complaint: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/compose.py", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr and len(done.stderr.splitlines()) == 1
