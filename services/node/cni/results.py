"""Results of ADD, kept as files of the machine for CHECK, DEL and GC: /var/lib/cni/results, as libcni caches them.

Source: containernetworking/cni `libcni/api.go` (cniCacheV1), SPEC.md section 5 (the success type).
"""

import json
from typing import Any, Final

from podwire.services.node.cni.plugin import Address, Arguments, Host, Result, Route

_FOLDER: Final = "/var/lib/cni/results"
_KIND: Final = "cniCacheV1"


def _path(network: str, arguments: Arguments) -> str:
    return f"{_FOLDER}/{network}-{arguments.container}-{arguments.interface}"


def keep(host: Host, network: str, arguments: Arguments, result: Result) -> None:
    """Stores a result."""
    value = {
        "kind": _KIND,
        "containerId": arguments.container,
        "ifName": arguments.interface,
        "networkName": network,
        "netns": f"/var/run/netns/{arguments.namespace}",
        "result": _written(result),
    }
    host.files.write(_path(network, arguments), json.dumps(value).encode())


def kept(host: Host, network: str, arguments: Arguments) -> Result | None:
    """The stored result; None where there is none, or nothing that one could be."""
    data = host.files.read(_path(network, arguments))
    try:
        return _read(json.loads(data)["result"]) if data is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def forget(host: Host, network: str, arguments: Arguments) -> None:
    """Removes a result; none is no error."""
    if host.files.read(_path(network, arguments)) is not None:
        host.files.remove(_path(network, arguments))


def attachments(host: Host, network: str) -> list[Arguments]:
    """All that a network has results of."""
    found = []
    for name in host.files.entries(_FOLDER):
        try:
            value = json.loads(host.files.read(f"{_FOLDER}/{name}") or b"")
            namespace = str(value["netns"]).rpartition("/")[2]
            entry = Arguments(str(value["containerId"]), namespace, str(value["ifName"]), "")
            is_ours = value["networkName"] == network and value["kind"] == _KIND
        except (ValueError, KeyError, TypeError):
            continue
        if is_ours:
            found.append(entry)
    return found


def _written(result: Result) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": name} for name in result.interfaces],
        "ips": [{"address": entry.address, "gateway": entry.gateway} for entry in result.addresses],
        "routes": [{"dst": route.destination, "gw": route.gateway} for route in result.routes],
    }


def _read(value: Any) -> Result:
    return Result(
        tuple(Address(str(entry["address"]), str(entry["gateway"])) for entry in value["ips"]),
        tuple(Route(str(route["dst"]), str(route["gw"])) for route in value["routes"]),
        tuple(str(entry["name"]) for entry in value["interfaces"]),
    )
