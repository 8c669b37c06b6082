"""The flannel meta plugin: reads what flanneld wrote and delegates to bridge (flannel-io/cni-plugin).

It needs no running flanneld: /run/flannel/subnet.env and the saved configuration are files of the machine.
"""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final

from podwire.services.node.cni import bridge
from podwire.services.node.cni.plugin import Arguments, Attachments, CniError, Configuration, Host, Result

SUBNET_FILE: Final = "/run/flannel/subnet.env"
_STATE: Final = "/var/lib/cni/flannel"
_IPV4: Final = ("FLANNEL_NETWORK", "FLANNEL_SUBNET")
_IPV6: Final = ("FLANNEL_IPV6_NETWORK", "FLANNEL_IPV6_SUBNET")


def load_subnet(host: Host, path: str) -> dict[str, str]:
    """The variables of subnet.env. Raises CniError with the plugin's own message."""
    data = host.files.read(path)
    if data is None:
        raise CniError(f"loadFlannelSubnetEnv failed: open {path}: no such file or directory")
    pairs = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    values = {key.strip(): value.strip() for key, separator, value in pairs if separator}
    if missing := _missing(values):
        raise CniError(f"{path} is missing {', '.join(missing)}")
    return values


def _missing(values: Mapping[str, str]) -> list[str]:
    """What is needed and not there: of networks and subnets one of either family."""
    either = [pair for pair in zip(_IPV4, _IPV6, strict=True) if not any(name in values for name in pair)]
    rest = [name for name in ("FLANNEL_MTU", "FLANNEL_IPMASQ") if name not in values]
    return [*(name for pair in either for name in pair), *rest]


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
            "ranges": [[{"subnet": _network_of(name, subnet[name])}] for _, name in (_IPV4, _IPV6) if name in subnet],
            "routes": [{"dst": _network_of(name, subnet[name])} for name, _ in (_IPV4, _IPV6) if name in subnet],
        },
    }


def _network_of(name: str, text: str) -> str:
    """flanneld writes the gateway's address as the subnet: 10.244.1.1/24. Raises CniError."""
    try:
        return str(ipaddress.ip_interface(text).network)
    except ValueError as error:
        raise CniError(f"{name}: {error}") from None


def add(host: Host, configuration: Configuration, arguments: Arguments) -> Result:
    """Delegates, and keeps the delegate's configuration for the deletion."""
    delegate = _delegate(host, configuration)
    host.files.write(f"{_STATE}/{arguments.container}", json.dumps(delegate).encode())
    return bridge.add(host, delegate, arguments)


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Deletes with the configuration of the addition; without one there is nothing to delete."""
    delegate = _saved(host, arguments.container)
    if delegate is None:
        return
    bridge.delete(host, delegate, arguments)
    host.files.remove(f"{_STATE}/{arguments.container}")


def _saved(host: Host, container: str) -> dict[str, Any] | None:
    """The delegate's configuration of an addition; None where there was none."""
    data = host.files.read(f"{_STATE}/{container}")
    if data is None:
        return None
    try:
        saved = json.loads(data)
    except ValueError as error:
        raise CniError(f"failed to parse netconf: {error}") from None
    if not isinstance(saved, dict):
        raise CniError("failed to parse netconf: an object is needed")
    return saved


def check(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> None:
    """Checks what the delegate did. Raises CniError."""
    delegate = _saved(host, arguments.container)
    if delegate is None:
        raise CniError(f"open {_STATE}/{arguments.container}: no such file or directory")
    bridge.check(host, delegate, arguments, before)


def collect(host: Host, configuration: Configuration, valid: Attachments) -> None:
    """Forgets the configurations of containers that are no more, and lets the delegate clean up."""
    containers = [container for container, _ in valid]
    for name in host.files.entries(_STATE):
        if name not in containers:
            host.files.remove(f"{_STATE}/{name}")
    bridge.collect(host, configuration, valid)
