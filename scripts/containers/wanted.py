"""What a compose.yaml asks for, in the environment of its two short-lived containers."""

import os
from collections.abc import Mapping

import msgspec

from podwire.scripts.cluster.folder import ClusterFile
from podwire.scripts.cluster.layout import OPERATOR


class WantedError(ValueError):
    """A variable that cannot be used; the message names it, its value and what would be right."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster's shape, and the ports of the host's loopback that lead to it."""

    nodes: int
    ip_family: str
    proxy_mode: str
    api_port: int
    bus_port: int
    mqtt_port: int
    ssh_port: int


def cluster_file(ask: Wanted, bus_url: str, password: str, observer_password: str = "") -> ClusterFile:
    """How the operator reaches a cluster of containers."""
    return ClusterFile(
        bus_url=bus_url,
        operator=OPERATOR,
        password=password,
        api_port=ask.api_port,
        workers=ask.nodes,
        supervisor=0,
        mqtt_port=ask.mqtt_port,
        observer_password=observer_password,
        ip_family=ask.ip_family,
    )


def wanted(environment: Mapping[str, str] = os.environ) -> Wanted:
    """Reads PODWIRE_NODES, PODWIRE_IP_FAMILY, …. Raises WantedError."""
    names = {field: f"PODWIRE_{field.upper()}" for field in Wanted.__struct_fields__}
    missing = [name for name in names.values() if name not in environment]
    if missing:
        raise WantedError(f"{missing[0]} is not set; start the cluster with: docker compose up")
    for field, name in names.items():
        if field.endswith("_port") and not (environment[name].isdigit() and 0 < int(environment[name]) < 1 << 16):
            raise WantedError(f"{name}={environment[name]}: a port from 1 to 65535 is needed")
    values = {field: environment[name] for field, name in names.items()}
    try:
        return msgspec.convert(values, Wanted, strict=False)
    except msgspec.ValidationError as error:
        raise WantedError(f"PODWIRE_{str(error).partition('$.')[2].strip('`').upper()}: {error}") from None
