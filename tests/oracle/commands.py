"""A programming operation as the command that does it on Linux: (namespace, arguments, standard input)."""

from collections.abc import Callable
from typing import Any, Final

from podwire.proto.messages import kernel as m

type Command = tuple[str, list[str], str]


def render(operation: Any) -> list[Command]:
    """The commands for an operation. KeyError for one that has no counterpart here."""
    return [(operation.netns, argv, text) for argv, text in _RENDERERS[type(operation)](operation)]


def _link_add(operation: m.LinkAdd) -> list[tuple[list[str], str]]:
    words = ["ip", "link", "add", "dev", operation.name]
    words += ["address", operation.address] if operation.address else []
    words += ["mtu", str(operation.mtu)] if operation.mtu else []
    words += ["type", operation.kind]
    if operation.kind == "veth":
        words += ["peer", "name", operation.peer, "netns", operation.peer_netns]
        words += ["address", operation.peer_address] if operation.peer_address else []
        words += ["mtu", str(operation.mtu)] if operation.mtu else []
    if operation.kind == "vxlan":
        words += ["id", str(operation.vni), "dstport", str(operation.port or 8472), "local", operation.local]
        words += ["dev", operation.device] if operation.device else []
        words += ["noudpcsum", *([] if operation.learning else ["nolearning"])]  # as Flannel makes it
    if operation.kind == "bridge":
        words += ["mcast_snooping", "0"]  # without it there are no IGMP reports to count
    commands: list[tuple[list[str], str]] = [(words, "")]
    if operation.master:
        commands.append((["ip", "link", "set", operation.name, "master", operation.master], ""))
    if operation.up:
        commands.append((["ip", "link", "set", operation.name, "up"], ""))
    return commands


def _link_set(operation: m.LinkSet) -> list[tuple[list[str], str]]:
    words = ["ip", "link", "set", operation.name]
    if operation.mtu is not None:
        words += ["mtu", str(operation.mtu)]
    if operation.address is not None:
        words += ["address", operation.address]
    if operation.master is not None:
        words += ["master", operation.master] if operation.master else ["nomaster"]
    if operation.up is not None:
        words.append("up" if operation.up else "down")
    commands: list[tuple[list[str], str]] = [(words, "")] if len(words) > 4 else []
    if operation.hairpin is not None:
        flag = "on" if operation.hairpin else "off"
        commands.append((["bridge", "link", "set", "dev", operation.name, "hairpin", flag], ""))
    return commands


def _address_add(operation: m.AddressAdd) -> list[tuple[list[str], str]]:
    words = ["ip", "address", "add", operation.address, "dev", operation.device]
    words += ["broadcast", operation.broadcast] if operation.broadcast else []
    words += ["nodad"] if ":" in operation.address else []
    return [(words, "")]


def _route_add(operation: m.RouteAdd | m.RouteReplace) -> list[tuple[list[str], str]]:
    verb = "add" if isinstance(operation, m.RouteAdd) else "replace"
    is_ipv6 = ":" in operation.destination + operation.via
    words = ["ip", *(["-6"] if is_ipv6 else []), "route", verb, operation.kind, operation.destination]
    words += ["via", operation.via] if operation.via else []
    words += ["dev", operation.device] if operation.device else []
    words += ["src", operation.source] if operation.source else []
    words += ["metric", str(operation.metric)] if operation.metric else []
    words += ["table", operation.table] if operation.table != "main" else []
    words += ["proto", operation.protocol] if operation.protocol != "boot" else []
    words += ["onlink"] if operation.onlink else []
    return [([*words, *(word for hop in operation.hops for word in _hop(hop))], "")]


def _hop(hop: m.NextHop) -> list[str]:
    words = ["nexthop", *(["via", hop.via] if hop.via else []), *(["dev", hop.device] if hop.device else [])]
    return [*words, "weight", str(hop.weight), *(["onlink"] if hop.onlink else [])]


def _rule_add(operation: m.RuleAdd) -> list[tuple[list[str], str]]:
    words = ["ip", "-6" if operation.family == "ipv6" else "-4", "rule", "add"]
    words += ["not"] if operation.inverted else []
    words += ["from", operation.source or "all"]
    words += ["to", operation.destination] if operation.destination else []
    words += ["iif", operation.in_device] if operation.in_device else []
    if operation.mark or operation.mark_mask:
        words += ["fwmark", f"{operation.mark}/{0xFFFFFFFF if operation.mark_mask is None else operation.mark_mask}"]
    words += ["tos", hex(operation.tos)] if operation.tos else []
    words += ["ipproto", str(operation.protocol)] if operation.protocol else []
    words += ["sport", "-".join(map(str, operation.source_ports))] if operation.source_ports else []
    words += ["dport", "-".join(map(str, operation.destination_ports))] if operation.destination_ports else []
    words += ["priority", str(operation.priority)] if operation.priority is not None else []
    words += ["lookup", operation.table] if operation.action == "lookup" else [operation.action]
    if operation.suppress_prefix_length is not None:
        words += ["suppress_prefixlength", str(operation.suppress_prefix_length)]
    return [(words, "")]


def _neighbour(operation: m.NeighbourReplace) -> list[tuple[list[str], str]]:
    if operation.proxy:
        return [(["ip", "neigh", "add", "proxy", operation.address, "dev", operation.device], "")]
    words = ["ip", "neigh", "replace", operation.address, "lladdr", operation.mac, "dev", operation.device]
    return [([*words, "nud", operation.state], "")]


def _fdb(operation: m.FdbReplace) -> list[tuple[list[str], str]]:
    words = ["bridge", "fdb", "replace", operation.mac, "dev", operation.device]
    words += ["dst", operation.remote] if operation.remote else ["master", "static"]
    return [(words, "")]


def _iptables_restore(operation: m.IptablesRestore) -> list[tuple[list[str], str]]:
    tool = "ip6tables-restore" if operation.family == "ipv6" else "iptables-restore"
    words = [tool, *(["--noflush"] if operation.noflush else []), *(["--counters"] if operation.counters else [])]
    return [(words, operation.text)]


_RENDERERS: Final[dict[type[Any], Callable[[Any], list[tuple[list[str], str]]]]] = {
    m.LinkAdd: _link_add,
    m.LinkSet: _link_set,
    m.LinkDelete: lambda each: [(["ip", "link", "delete", each.name], "")],
    m.AddressAdd: _address_add,
    m.RouteAdd: _route_add,
    m.RouteReplace: _route_add,
    m.RuleAdd: _rule_add,
    m.NeighbourReplace: _neighbour,
    m.FdbReplace: _fdb,
    m.SysctlWrite: lambda each: [(["sysctl", "-qw", f"{each.key}={each.value}"], "")],
    m.IptablesRestore: _iptables_restore,
    m.NftRestore: lambda each: [(["nft", "-f", "-"], each.text)],
    m.IpsetRestore: lambda each: [(["ipset", "restore"], each.text)],
}
