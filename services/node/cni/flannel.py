"""The flannel meta plugin: reads what flanneld wrote and delegates to bridge (flannel-io/cni-plugin).

It needs no running flanneld: /run/flannel/subnet.env and the saved configuration are files of the machine.
"""

import ipaddress
import json
from typing import Any, Final

from podwire.services.node.cni import bridge
from podwire.services.node.cni.plugin import Arguments, CniError, Configuration, Host, Result

SUBNET_FILE: Final = "/run/flannel/subnet.env"
_STATE: Final = "/var/lib/cni/flannel"
_NEEDED: Final = ("FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ")


def load_subnet(host: Host, path: str) -> dict[str, str]:
    """The variables of subnet.env. Raises CniError with the plugin's own message."""
    data = host.files.read(path)
    if data is None:
        raise CniError(f"loadFlannelSubnetEnv failed: open {path}: no such file or directory")
    pairs = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    values = {key.strip(): value.strip() for key, separator, value in pairs if separator}
    missing = [name for name in _NEEDED if name not in values]
    if missing:
        raise CniError(f"{path} is missing {', '.join(missing)}")
    return values


def _delegate(host: Host, configuration: Configuration) -> dict[str, Any]:
    subnet = load_subnet(host, str(configuration.get("subnetFile") or SUBNET_FILE))
    given = configuration.get("delegate") or {}
    if given.get("type", "bridge") != "bridge":
        raise CniError(f"failed to find plugin {given['type']!r} in path [/opt/cni/bin]: this machine has bridge")
    return {
        "mtu": int(subnet["FLANNEL_MTU"]),
        "isGateway": True,
        **given,
        "cniVersion": configuration.get("cniVersion", "1.0.0"),
        "name": configuration["name"],
        "type": "bridge",
        "ipMasq": subnet["FLANNEL_IPMASQ"] != "true",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": _network_of(subnet["FLANNEL_SUBNET"])}]],
            "routes": [{"dst": subnet["FLANNEL_NETWORK"]}],
        },
    }


def _network_of(text: str) -> str:
    """flanneld writes the gateway's address as the subnet: 10.244.1.1/24. Raises CniError."""
    try:
        return str(ipaddress.IPv4Interface(text).network)
    except ValueError as error:
        raise CniError(f"FLANNEL_SUBNET: {error}") from None


def add(host: Host, configuration: Configuration, arguments: Arguments) -> Result:
    """Delegates, and keeps the delegate's configuration for the deletion."""
    delegate = _delegate(host, configuration)
    host.files.write(f"{_STATE}/{arguments.container}", json.dumps(delegate).encode())
    return bridge.add(host, delegate, arguments)


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Deletes with the configuration of the addition; without one there is nothing to delete."""
    path = f"{_STATE}/{arguments.container}"
    data = host.files.read(path)
    if data is None:
        return
    bridge.delete(host, json.loads(data), arguments)
    host.files.remove(path)
