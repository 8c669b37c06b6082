"""The host-local IPAM plugin: addresses of one subnet, reserved by files of the machine.

/var/lib/cni/networks/<network>/<address> holds the container id and the interface; last_reserved_ip.0 where to go on
(containernetworking/plugins, plugins/ipam/host-local). Addresses go round, so that one just freed is not taken next.
"""

import ipaddress
from collections.abc import Iterator

from podwire.services.node.cni.plugin import (
    INVALID_CONFIGURATION,
    Address,
    Arguments,
    CniError,
    Configuration,
    Host,
    Result,
)
from podwire.services.node.cni.plugin import Route as PodRoute

_LAST = "last_reserved_ip.0"


def _folder(network: str) -> str:
    return f"/var/lib/cni/networks/{network}"


def _subnet(configuration: Configuration) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(configuration["ipam"]["ranges"][0][0]["subnet"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CniError(f"host-local: invalid range set: {error}", INVALID_CONFIGURATION) from None


def add(host: Host, configuration: Configuration, arguments: Arguments) -> Result:
    """Reserves an address; the same container and interface get the same again. Raises CniError when none is left."""
    subnet = _subnet(configuration)
    gateway = subnet.network_address + 1
    folder = _folder(configuration["name"])
    address = _reserved(host, folder, arguments) or _reserve(host, folder, subnet, gateway, arguments)
    routes = tuple(PodRoute(route["dst"], route.get("gw", "")) for route in configuration["ipam"].get("routes", []))
    return Result((Address(f"{address}/{subnet.prefixlen}", str(gateway)),), routes)


def _mark(arguments: Arguments) -> bytes:
    return f"{arguments.container}\r\n{arguments.interface}".encode()


def _reserved(host: Host, folder: str, arguments: Arguments) -> str:
    own = _mark(arguments)
    return next((name for name in host.files.entries(folder) if host.files.read(f"{folder}/{name}") == own), "")


def _candidates(
    subnet: ipaddress.IPv4Network, gateway: ipaddress.IPv4Address, last: bytes | None
) -> Iterator[ipaddress.IPv4Address]:
    first, end = int(subnet.network_address) + 1, int(subnet.broadcast_address) - 1
    try:
        start = int(ipaddress.IPv4Address((last or b"").decode().strip())) + 1
    except ValueError:
        start = first
    start = start if first <= start <= end else first
    for number in (*range(start, end + 1), *range(first, start)):
        if number != int(gateway):
            yield ipaddress.IPv4Address(number)


def _reserve(
    host: Host,
    folder: str,
    subnet: ipaddress.IPv4Network,
    gateway: ipaddress.IPv4Address,
    arguments: Arguments,
) -> str:
    for candidate in _candidates(subnet, gateway, host.files.read(f"{folder}/{_LAST}")):
        path = f"{folder}/{candidate}"
        if host.files.read(path) is None:
            host.files.write(path, _mark(arguments))
            host.files.write(f"{folder}/{_LAST}", str(candidate).encode())
            return str(candidate)
    span = f"{subnet.network_address + 1}-{subnet.broadcast_address - 1}"
    raise CniError(f"failed to allocate for range 0: no IP addresses available in range set: {span}")


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Frees what the container has; nothing to free is no error."""
    folder = _folder(configuration["name"])
    own = arguments.container.encode()
    for name in host.files.entries(folder):
        if name != _LAST and (host.files.read(f"{folder}/{name}") or b"").split(b"\r\n")[0] == own:
            host.files.remove(f"{folder}/{name}")
