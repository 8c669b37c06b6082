"""ip link (iproute2 ip/iplink*.c)."""

from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.printing import link_objects
from podwire.services.node.kernel.printing import links as printing
from podwire.services.node.programs.ip.arguments import IpCall, IpError, number, pairs, select

_MOST_VNI: Final = (1 << 24) - 1
_BUILT: Final = ("bridge", "dummy", "veth", "vxlan", "geneve", "ipip")
_KNOWN: Final = (
    "vlan",
    "macvlan",
    "macvtap",
    "ipvlan",
    "bond",
    "team",
    "gre",
    "gretap",
    "sit",
    "vti",
    "vrf",
    "ifb",
    "tun",
)
_TUNNEL_KEYS: Final = ("id", "vni", "dstport", "local", "remote", "dev", "ttl", "hoplimit")
_TUNNEL_FLAGS: Final = ("learning", "nolearning", "udpcsum", "noudpcsum", "udp6zerocsumtx", "noudp6zerocsumtx")
_TUNNEL_FLAGS_MORE: Final = ("udp6zerocsumrx", "noudp6zerocsumrx", "pmtudisc")


def checked(namespace: Namespace, call: IpCall) -> printing.Selection:
    """What a listing was narrowed to. Raises IpError for a device that is not there."""
    selection = select(call.selection, call.words)
    for name in (selection.device, selection.master):
        if name and name not in namespace.devices:
            raise IpError(f'Device "{name}" does not exist.', 1)
    return selection


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip link show [DEVICE] [up] [type KIND] [master BRIDGE]"""
    selection = checked(namespace, call)
    if call.json:
        return link_objects.link_objects(namespace, selection)
    return printing.ip_link(namespace, selection)


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip link set DEVICE [up|down] [mtu N] [address MAC] [master BRIDGE|nomaster] [name NAME] [netns NAME]"""
    keys = ("dev", "mtu", "address", "master", "name", "netns", "multicast", "arp", "promisc", "txqueuelen", "alias")
    found, others = pairs(call.words, keys, ("up", "down", "nomaster"))
    name = found.get("dev") or (others.pop(0) if others else "")
    if not name:
        raise IpError('Not enough information: "dev" argument is required.')
    if others[:1] == ["type"]:
        raise IpError(f"ip link set {' '.join(others)}: not built", 1)
    if others:
        raise IpError(f'Error: either "dev" is duplicate, or "{others[0]}" is a garbage.')
    for key in ("multicast", "arp", "promisc", "txqueuelen", "alias"):
        if key in found:
            raise IpError(f"ip link set {key} {found[key]}: not built", 1)
    return [
        operations.LinkSet(
            netns=namespace.name,
            name=name,
            up=True if "up" in found else False if "down" in found else None,
            mtu=number(found["mtu"], "mtu") if "mtu" in found else None,
            address=found.get("address"),
            master="" if "nomaster" in found else found.get("master"),
            new_name=found.get("name"),
            new_netns=found.get("netns"),
        )
    ]


def add(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip link add [NAME] [mtu N] [address MAC] [up] type KIND …"""
    words = list(call.words)
    at = words.index("type") if "type" in words else len(words)
    common, others = pairs(words[:at], ("name", "dev", "link", "mtu", "address", "netns"), ("up",))
    kind, own = (words[at + 1], words[at + 2 :]) if at + 1 < len(words) else ("", [])
    name = common.get("name") or common.get("dev") or (others.pop(0) if others else "")
    if not kind:
        raise IpError('Not enough information: "type" argument is required', 1)
    if others or "link" in common:
        raise IpError(f"ip link add {' '.join(others) or 'link'}: not built", 1)
    if kind not in _BUILT:
        raise IpError(f"ip link add type {kind}: not built" if kind in _KNOWN else "Error: Unknown device type.", 2)
    given: dict[str, Any] = {
        "netns": common.get("netns", namespace.name),
        "kind": kind,
        "name": name or free_name(namespace, kind),
        "mtu": number(common["mtu"], "mtu") if "mtu" in common else 0,
        "address": common.get("address", ""),
        "up": "up" in common,
    }
    return [operations.LinkAdd(**given, **_of_kind(namespace, kind, own))]


def free_name(namespace: Namespace, kind: str) -> str:
    """What the kernel calls a device that was not named (dev_alloc_name)."""
    number = 0
    while f"{kind}{number}" in namespace.devices:
        number += 1
    return f"{kind}{number}"


def _of_kind(namespace: Namespace, kind: str, words: list[str]) -> dict[str, Any]:
    if kind == "veth":
        return _veth(namespace, words)
    if kind in ("vxlan", "geneve", "ipip"):
        return _tunnel(kind, words)
    if words:
        raise IpError(f"ip link add type {kind} {' '.join(words)}: not built", 1)
    return {}


def _veth(namespace: Namespace, words: list[str]) -> dict[str, Any]:
    if words[:1] not in ([], ["peer"]):
        raise IpError(f'veth: unknown option "{words[0]}"?', 255)
    found, others = pairs(words[1:], ("name", "dev", "netns", "address"))
    name = found.get("name") or found.get("dev") or (others.pop(0) if others else "")
    if others:
        raise IpError(f"ip link add type veth peer {' '.join(others)}: not built", 1)
    return {
        "peer": name,
        "peer_netns": found.get("netns", namespace.name),
        "peer_address": found.get("address", ""),
    }


def _tunnel(kind: str, words: list[str]) -> dict[str, Any]:
    found, others = pairs(words, _TUNNEL_KEYS, (*_TUNNEL_FLAGS, *_TUNNEL_FLAGS_MORE))
    if others:
        raise IpError(f'{kind}: "{others[0]}" is not built', 255)
    if "udp6zerocsumtx" in found:
        raise IpError(f"{kind}: udp6zerocsumtx is not built", 255)
    ttl = found.get("ttl", found.get("hoplimit", "auto"))
    given: dict[str, Any] = {
        "local": _address(found.get("local", "")),
        "remote": _address(found.get("remote", "")),
        "device": found.get("dev", ""),
        "ttl": 0 if ttl in ("auto", "inherit") else number(ttl, "TTL", 255),
    }
    if kind == "ipip":
        return given
    identifier = found.get("id", found.get("vni"))
    if identifier is None:
        raise IpError("Error: Required attributes not provided to perform the operation.", 2)
    if kind == "geneve" and not given["remote"]:
        raise IpError("geneve: remote link partner not specified", 1)
    return given | {
        "vni": number(identifier, "id", _MOST_VNI),
        "port": number(found["dstport"], "dst port", 65535) if "dstport" in found else 0,
        "learning": "nolearning" not in found,
        "udp_checksum": "noudpcsum" not in found if kind == "vxlan" else "udpcsum" in found,
    }


def _address(text: str) -> str:
    return "" if text in ("any", "0.0.0.0", "::") else text


def delete(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip link delete DEVICE"""
    found, others = pairs(call.words, ("dev", "type"))
    name = found.get("dev") or (others[0] if others else "")
    if not name:
        raise IpError('Not enough information: "dev" argument is required.')
    return [operations.LinkDelete(netns=namespace.name, name=name)]
