"""ip neigh (iproute2 ip/ipneigh.c)."""

from typing import Any, Final, cast

from podwire.proto.messages import kernel as operations
from podwire.proto.packet.addresses import format_address
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.neighbours import Neighbour
from podwire.services.node.kernel.operations import text
from podwire.services.node.kernel.printing import route_objects, routes
from podwire.services.node.programs.ip.arguments import IpCall, IpError, pairs

_STATES: Final = ("permanent", "reachable", "stale", "noarp")
_SPARED: Final = ("PERMANENT", "NOARP")


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip neigh show [[to] ADDRESS] [dev DEVICE] [nud STATE] [proxy]"""
    found, others = pairs(call.words, ("dev", "nud", "to"), ("proxy",))
    if "proxy" in found:
        return route_objects.proxy_objects(namespace) if call.json else routes.ip_neigh_proxy(namespace)
    found |= {"to": others[0]} if others else {}
    entries, with_device = _chosen(namespace, call, found), "dev" not in found
    if call.json:
        return [route_objects.neighbour_object(each, show_device=with_device) for each in entries]
    return "".join(routes.neighbour_line(each, show_device=with_device) + "\n" for each in entries)


def _chosen(namespace: Namespace, call: IpCall, found: dict[str, str]) -> list[Neighbour]:
    entries = routes.shown_neighbours(namespace, found.get("dev", ""), family=call.selection.family)
    wanted = found.get("nud", "all").upper()
    return [
        entry
        for entry in entries
        if wanted in ("ALL", entry.state) and found.get("to", "") in ("", format_address(entry.address))
    ]


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip neigh add|replace|change|delete ADDRESS [lladdr MAC] [nud STATE] dev DEVICE, or proxy ADDRESS dev DEVICE"""
    found, others = pairs(call.words, ("dev", "lladdr", "nud", "proxy", "to"))
    others += [found[key] for key in ("proxy", "to") if key in found]
    if len(others) != 1 or "dev" not in found:
        raise IpError("Device and destination are required arguments.")
    place: dict[str, Any] = {
        "netns": namespace.name,
        "device": found["dev"],
        "address": others[0],
        "proxy": "proxy" in found,
    }
    if call.command == "delete":
        return [operations.NeighbourDelete(**place)]
    state = found.get("nud", "permanent")
    if state not in _STATES:
        raise IpError(f'Error: argument "{state}" is wrong: nud state is bad', 255)
    if "proxy" not in found:
        _check(namespace, call, found["dev"], others[0])
    mac = found.get("lladdr", "00:00:00:00:00:00" if state == "noarp" else "")
    if not mac and "proxy" not in found:
        raise KernelError(22, "RTNETLINK answers: Invalid argument")
    return [operations.NeighbourReplace(**place, mac=mac, state=cast(Any, state))]


def _check(namespace: Namespace, call: IpCall, device: str, address: str) -> None:
    """add wants none there, change one (NLM_F_EXCL, NLM_F_REPLACE)."""
    key = namespace.device(device), text.address(address)
    entry = namespace.neighbours.entries.get(key)
    if call.command == "add" and entry is not None and entry.state not in ("NONE", "FAILED"):
        raise KernelError(17, "RTNETLINK answers: File exists")
    if call.command == "change" and entry is None:
        raise KernelError(2, "RTNETLINK answers: No such file or directory")


def flush(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip neigh flush [to ADDRESS] [dev DEVICE] [nud STATE]: all but permanent ones, unless they are asked for."""
    found, others = pairs(call.words, ("dev", "nud", "to"), ("all",))
    if not found and not others:
        raise IpError("Flush requires arguments.", 1)
    found |= {"to": others[0]} if others and others[0] != "all" else {}
    return [
        operations.NeighbourDelete(netns=namespace.name, device=each.device.name, address=format_address(each.address))
        for each in _chosen(namespace, call, found)
        if each.state not in _SPARED or "nud" in found
    ]
