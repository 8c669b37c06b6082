"""Which containers a cluster is made of: `podwire up`'s layout, with the places that files have in an image."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Final

from podwire.scripts.cluster.addressing import addressing
from podwire.scripts.cluster.layout import Layout, ProcessPlan, layout

KEYS: Final = PurePosixPath("/keys")
"""The volume with what containers prove themselves with."""
PKI: Final = KEYS / "pki"
HOME: Final = PurePosixPath("/opt/podwire")
"""Where the image has podwire."""
STORE: Final = PurePosixPath("/data")
"""The volume with what outlives a container: the event log, a machine's disk."""
API_PORT, BUS_PORT, MQTT_PORT, SSH_PORT, MONITOR_PORT, ROUTES_PORT = 6443, 4222, 1883, 2222, 8222, 6222
SERVERS: Final = ("nats-1", "nats-2", "nats-3")
"""The clustered profile's NATS servers."""
EVERYWHERE: Final = "0.0.0.0"
"""In its container; what the host sees of it is on loopback."""


def containers(workers: int, ip_family: str) -> Layout:
    """The plan. Raises LayoutError and AddressingError."""
    api = {
        "api_host": EVERYWHERE,
        "api_port": API_PORT,
        "api_cert_file": str(PKI / "apiserver.crt"),
        "api_key_file": str(PKI / "apiserver.key"),
        "api_ca_file": str(PKI / "ca.crt"),
        "service_account_key_file": str(PKI / "sa.key"),
    }
    ssh = {
        "host": EVERYWHERE,
        "port": SSH_PORT,
        "host_key_file": str(PKI / "ssh_host_key"),
        "authorized_keys_file": str(PKI / "ssh_authorized_keys"),
    }
    static = str(HOME / "compose/manifests/static")
    controllers = {"root_ca_file": str(PKI / "ca.crt")}
    return layout(workers, static, api, controllers, (), ssh, addressing(ip_family))


def names(plan: Layout) -> dict[str, ProcessPlan]:
    """Each process by its container's name: a machine by its own, the only one of a component by the component's."""
    many = Counter(process.component for process in plan.processes)
    return {_name(process, many[process.component] > 1): process for process in plan.processes}


def _name(process: ProcessPlan, one_of_many: bool) -> str:
    if process.component == "node":
        return process.node
    return f"{process.component}-{process.node}" if one_of_many else process.component


def password_file(name: str) -> PurePosixPath:
    """Where a container's password on the bus stands."""
    return KEYS / "passwords" / name
