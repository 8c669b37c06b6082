"""ip tunnel: IP-in-IP devices (iproute2 ip/iptunnel.c, ip/tunnel.c)."""

from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.proto.packet.addresses import format_address, parse_ipv4
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.devices.ipip import IpipDevice
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.programs.ip.arguments import IpCall, IpError, number, pairs
from podwire.services.node.programs.ip.links import free_name

_BUILT: Final = ("ipip", "ip/ip")
_KNOWN: Final = ("gre", "gre/ip", "sit", "ipv6/ip", "isatap", "vti")
_KEYS: Final = ("mode", "remote", "local", "ttl", "hoplimit", "dev", "name", "tos", "dsfield")


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip tunnel show [NAME]: IP-in-IP devices."""
    found, others = pairs(call.words, ("name", "dev", "mode"))
    wanted = found.get("name", found.get("dev", others[0] if others else ""))
    devices = [
        each for each in namespace.devices.values() if isinstance(each, IpipDevice) and wanted in ("", each.name)
    ]
    if call.json:
        return [{"ifname": each.name, "mode": "ip/ip", **dict(_ends(each)), **_ttl(each)} for each in devices]
    return "".join(_tunnel_line(each) for each in devices)


def _ends(device: IpipDevice) -> list[tuple[str, str]]:
    ends = (("remote", device.remote), ("local", device.local))
    return [(name, format_address(address) if address else "any") for name, address in ends]


def _ttl(device: IpipDevice) -> dict[str, Any]:
    return {"ttl": device.ttl} if device.ttl else {}


def _tunnel_line(device: IpipDevice) -> str:
    ends = "".join(f" {name} {address}" for name, address in _ends(device))
    link = f" dev {device.link.name}" if device.link is not None else ""
    return f"{device.name}: ip/ip{ends}{link} ttl {device.ttl or 'inherit'}\n"


def add(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip tunnel add [NAME] mode ipip [remote ADDRESS] [local ADDRESS] [ttl NUMBER] [dev DEVICE]"""
    found = _read(call)
    if "mode" not in found:
        raise IpError("cannot determine tunnel mode (ipip, gre, vti or sit)", 1)
    local, remote = _end(found.get("local", "any")), _end(found.get("remote", "any"))
    if found.get("dev", "") and found["dev"] not in namespace.devices:
        raise IpError(f'Cannot find device "{found["dev"]}"', 1)
    name = found.get("name") or free_name(namespace, "ipip")
    ends = parse_ipv4(local or "0.0.0.0"), parse_ipv4(remote or "0.0.0.0")
    if name in namespace.devices or ends in namespace.ipip_tunnels:
        raise IpError('add tunnel "tunl0" failed: File exists', 1)
    return [
        operations.LinkAdd(
            netns=namespace.name,
            kind="ipip",
            name=name,
            local=local,
            remote=remote,
            device=found.get("dev", ""),
            ttl=_hops(found),
        )
    ]


def delete(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip tunnel delete NAME"""
    name = _read(call).get("name", "")
    device = namespace.devices.get(name)
    if not isinstance(device, IpipDevice):
        reason = "No such device" if device is None else "Operation not supported"
        raise IpError(f'delete tunnel "{name}" failed: {reason}', 1)
    return [operations.LinkDelete(netns=namespace.name, name=name)]


def _read(call: IpCall) -> dict[str, str]:
    """The words after the command (parse_args). Raises IpError."""
    found, others = pairs(call.words, _KEYS, ("pmtudisc", "nopmtudisc"))
    mode = found.get("mode", "ipip")
    if mode not in (*_BUILT, *_KNOWN):
        raise IpError(f'Unknown tunnel mode "{mode}"', 255)
    if mode not in _BUILT:
        raise IpError(f"ip tunnel mode {mode}: not built", 1)
    for option in ("nopmtudisc", "tos", "dsfield"):
        if option in found:
            raise IpError(f"ip tunnel {option}: not built", 1)
    if others and "name" not in found:
        found["name"] = others.pop(0)
    if others:
        raise IpError(f'Error: either "name" is duplicate, or "{others[0]}" is a garbage.', 255)
    return found


def _end(text: str) -> str:
    if text in ("any", "default", "0.0.0.0"):
        return ""
    try:
        return format_address(parse_ipv4(text))
    except PacketError:
        raise IpError(f'Error: an IP address is expected rather than "{text}"', 1) from None


def _hops(found: dict[str, str]) -> int:
    text = found.get("ttl", found.get("hoplimit", "inherit"))
    return 0 if text == "inherit" else number(text, "TTL", 255)
