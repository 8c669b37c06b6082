"""ip address (iproute2 ip/ipaddress.c)."""

from typing import Any

from podwire.proto.messages import kernel as operations
from podwire.proto.packet.addresses import format_address
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.printing import link_objects, links
from podwire.services.node.programs.ip.arguments import IpCall, IpError, pairs
from podwire.services.node.programs.ip.links import checked


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip address show [DEVICE] [up] [type KIND] [master BRIDGE]"""
    selection = checked(namespace, call)
    if call.json:
        return link_objects.address_objects(namespace, selection)
    return links.ip_addr(namespace, selection)


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip address add|replace|change|delete ADDRESS dev DEVICE [broadcast ADDRESS|+] [scope SCOPE] [noprefixroute]"""
    found, others = pairs(call.words, ("dev", "broadcast", "brd", "scope", "local"), ("noprefixroute", "nodad"))
    others += [found["local"]] if "local" in found else []
    if "dev" not in found:
        raise IpError('Not enough information: "dev" argument is required.')
    if len(others) != 1:
        raise IpError(f"ip address {call.command}: {' '.join(others) or 'nothing'}: one address is needed", 1)
    given = others[0]
    address = given if "/" in given else f"{given}/128" if ":" in given else f"{given}/32"
    if call.command == "delete":
        return [operations.AddressDelete(netns=namespace.name, device=found["dev"], address=address)]
    added = operations.AddressAdd(
        netns=namespace.name,
        device=found["dev"],
        address=address,
        broadcast=found.get("broadcast", found.get("brd", "")),
        scope=found.get("scope", "global"),
        noprefixroute="noprefixroute" in found,
    )
    if call.command == "add" or address not in _texts(namespace, found["dev"], ""):
        return [added]
    return [operations.AddressDelete(netns=namespace.name, device=found["dev"], address=address), added]


def _texts(namespace: Namespace, device: str, family: str) -> list[str]:
    own = namespace.device(device)
    addresses = (own.addresses if family != "ipv6" else []) + (own.addresses6 if family != "ipv4" else [])
    return [f"{format_address(each.address)}/{each.length}" for each in addresses]


def flush(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip address flush [dev] DEVICE [scope SCOPE]"""
    found, others = pairs(call.words, ("dev", "scope"))
    device = found.get("dev") or (others.pop(0) if others else "")
    if not device:
        raise IpError("Flush requires arguments.", 1)
    if others or "scope" in found:
        raise IpError(f"ip address flush {' '.join(others) or 'scope'}: not built", 1)
    texts = _texts(namespace, device, call.selection.family)
    return [operations.AddressDelete(netns=namespace.name, device=device, address=each) for each in texts]
