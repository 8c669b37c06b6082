"""The host-local IPAM plugin: an address of each range set, reserved by files of the machine.

/var/lib/cni/networks/<network>/<address> holds the container id and the interface; last_reserved_ip.<set> where to go
on (containernetworking/plugins, plugins/ipam/host-local). Addresses go round, so that one just freed is not taken next.
"""

from podwire.services.node.cni.plugin import (
    Address,
    Arguments,
    Attachments,
    CniError,
    Configuration,
    Host,
    Result,
)
from podwire.services.node.cni.plugin import Route as PodRoute
from podwire.services.node.cni.ranges import Range, RangeSet, candidates, range_sets

_LAST = "last_reserved_ip."


def _folder(configuration: Configuration) -> str:
    return f"/var/lib/cni/networks/{configuration['name']}"


def add(host: Host, configuration: Configuration, arguments: Arguments) -> Result:
    """Reserves an address of each set; the same container and interface get the same again.

    Raises CniError when a set has none left: what was reserved before is freed.
    """
    sets, folder = range_sets(configuration), _folder(configuration)
    before = _reserved(host, folder, arguments)
    try:
        chosen = [_choose(host, folder, number, ranges, arguments) for number, ranges in enumerate(sets)]
    except CniError:
        _free(host, folder, [name for name in _reserved(host, folder, arguments) if name not in before])
        raise
    addresses = tuple(Address(f"{text}/{each.subnet.prefixlen}", each.text(each.gateway)) for text, each in chosen)
    routes = tuple(PodRoute(route["dst"], route.get("gw", "")) for route in configuration["ipam"].get("routes", []))
    return Result(addresses, routes)


def _mark(arguments: Arguments) -> bytes:
    return f"{arguments.container}\r\n{arguments.interface}".encode()


def _reserved(host: Host, folder: str, arguments: Arguments) -> list[str]:
    own = _mark(arguments)
    return [name for name in host.files.entries(folder) if host.files.read(f"{folder}/{name}") == own]


def _choose(host: Host, folder: str, number: int, ranges: RangeSet, arguments: Arguments) -> tuple[str, Range]:
    for name in _reserved(host, folder, arguments):
        if held := next((each for each in ranges if name in each), None):
            return name, held
    last = f"{folder}/{_LAST}{number}"
    for address, each in candidates(ranges, host.files.read(last)):
        path = f"{folder}/{address}"
        if host.files.read(path) is None:
            host.files.write(path, _mark(arguments))
            host.files.write(last, address.encode())
            return address, each
    span = ",".join(str(each) for each in ranges)
    raise CniError(f"failed to allocate for range {number}: no IP addresses available in range set: {span}")


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Frees what the container has; nothing to free is no error."""
    folder = _folder(configuration)
    _free(host, folder, [name for name, (container, _) in _held(host, folder) if container == arguments.container])


def _free(host: Host, folder: str, names: list[str]) -> None:
    for name in names:
        host.files.remove(f"{folder}/{name}")


def _held(host: Host, folder: str) -> list[tuple[str, tuple[str, str]]]:
    """The reserved addresses, each with its container and interface."""
    names = [name for name in host.files.entries(folder) if not name.startswith(_LAST)]
    contents = [(host.files.read(f"{folder}/{name}") or b"").decode(errors="replace") for name in names]
    marks = [content.partition("\r\n") for content in contents]
    return [(name, (container, interface)) for name, (container, _, interface) in zip(names, marks, strict=True)]


def check(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Raises CniError where the container has no address, whatever address that is."""
    if not _reserved(host, _folder(configuration), arguments):
        raise CniError(f"host-local: Failed to find address added by container {arguments.container}")


def collect(host: Host, configuration: Configuration, valid: Attachments) -> None:
    """Frees the addresses of attachments that are no more."""
    folder = _folder(configuration)
    _free(host, folder, [name for name, attachment in _held(host, folder) if attachment not in valid])
