"""Programming of a machine's kernel: operations that mirror rtnetlink, bridge FDB, sysctl and iptables-restore.

Addresses, prefixes and MACs are text, as the tools write them. `netns` is "" for the machine's own namespace.
"""

from typing import Any, Final, Literal

import msgspec

from podwire.proto.messages.process import Impairment

SCHEMA: Final = 1


class _Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    netns: str = ""


class NetnsAdd(_Operation, frozen=True):
    """`ip netns add`: here `netns` is the new one."""


class NetnsDelete(_Operation, frozen=True):
    """`ip netns delete`, with its devices, sockets and everything else."""


class LinkAdd(_Operation, frozen=True):
    """`ip link add`. `peer` (with `peer_netns`) belongs to veth, `segment` to nic, the rest from `vni` on to tunnels.

    `port` 0 is the kind's own: 8472 for vxlan, 6081 for geneve. `ttl` 0 is the kind's default."""

    kind: Literal["veth", "bridge", "vxlan", "geneve", "ipip", "dummy", "nic"]
    name: str
    address: str = ""
    mtu: int = 0
    up: bool = False
    master: str = ""
    peer: str = ""
    peer_netns: str = ""
    peer_address: str = ""
    vni: int = 0
    port: int = 0
    local: str = ""
    remote: str = ""
    ttl: int = 0
    udp_checksum: bool = False
    device: str = ""
    learning: bool = True
    segment: str = ""


class LinkSet(_Operation, frozen=True):
    """`ip link set` and `bridge link set`; None leaves a setting as it is, `master` "" releases a port."""

    name: str
    up: bool | None = None
    mtu: int | None = None
    master: str | None = None
    address: str | None = None
    new_name: str | None = None
    new_netns: str | None = None
    hairpin: bool | None = None
    learning: bool | None = None
    flood: bool | None = None


class LinkDelete(_Operation, frozen=True):
    """`ip link delete`; a veth's peer goes with it."""

    name: str


class AddressAdd(_Operation, frozen=True):
    """`ip address add ADDRESS/LENGTH dev DEVICE`."""

    device: str
    address: str
    broadcast: str = ""
    scope: str = "global"
    noprefixroute: bool = False


class AddressDelete(_Operation, frozen=True):
    """`ip address delete`."""

    device: str
    address: str


class NextHop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a route's several ways."""

    via: str = ""
    device: str = ""
    weight: int = 1
    onlink: bool = False


class _Route(_Operation, frozen=True):
    destination: str
    device: str = ""
    via: str = ""
    source: str = ""
    metric: int = 0
    table: str = "main"
    protocol: str = "boot"
    scope: str = ""
    kind: Literal["unicast", "blackhole", "unreachable", "prohibit", "throw", "local", "broadcast"] = "unicast"
    onlink: bool = False
    hops: list[NextHop] = []
    """Several ways, instead of `via`, `device` and `onlink`."""


class RouteAdd(_Route, frozen=True):
    """`ip route add`: EEXIST if there is one of that prefix and metric."""


class RouteReplace(_Route, frozen=True):
    """`ip route replace`."""


class RouteDelete(_Operation, frozen=True):
    """`ip route delete`: the first that fits what is given; ESRCH if none does."""

    destination: str
    device: str = ""
    via: str = ""
    metric: int | None = None
    table: str = "main"
    protocol: str = ""


class _Rule(_Operation, frozen=True):
    priority: int | None = None
    family: Literal["ipv4", "ipv6"] = "ipv4"
    table: str = ""
    action: Literal["lookup", "blackhole", "unreachable", "prohibit"] = "lookup"
    inverted: bool = False
    source: str = ""
    destination: str = ""
    in_device: str = ""
    mark: int = 0
    mark_mask: int | None = None
    tos: int = 0
    protocol: int = 0
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None
    suppress_prefix_length: int | None = None


class RuleAdd(_Rule, frozen=True):
    """`ip rule add`; without a priority it goes before the second rule. EEXIST if it is there."""


class RuleDelete(_Rule, frozen=True):
    """`ip rule delete`: the first that has everything given; ENOENT if none has."""


class NeighbourReplace(_Operation, frozen=True):
    """`ip neigh replace`, or with `proxy` the address that the machine answers for."""

    device: str
    address: str
    mac: str = ""
    state: Literal["permanent", "reachable", "stale", "noarp"] = "permanent"
    proxy: bool = False


class NeighbourDelete(_Operation, frozen=True):
    """`ip neigh delete`."""

    device: str
    address: str
    proxy: bool = False


class FdbReplace(_Operation, frozen=True):
    """`bridge fdb replace MAC dev DEVICE [dst REMOTE]`."""

    device: str
    mac: str
    remote: str = ""
    permanent: bool = True


class FdbDelete(_Operation, frozen=True):
    """`bridge fdb delete`."""

    device: str
    mac: str


class Qdisc(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A queue discipline, as tc(8) names its parts: `handle` "1:", `parent` "root", "1:" or the class "1:4".

    `impairment` is netem's; `rate` and `peak_rate` (bytes a second), `burst`, `limit` and `minimum_burst` (bytes) are
    tbf's; `bands` is prio's. `owner` says for whom it was made.
    """

    kind: Literal["netem", "tbf", "prio", "sfq"]
    handle: str
    parent: str = "root"
    impairment: Impairment = Impairment()
    rate: int = 0
    burst: int = 0
    limit: int = 0
    peak_rate: int = 0
    minimum_burst: int = 0
    bands: int = 3
    owner: str = ""


class QdiscsReplace(_Operation, frozen=True):
    """`tc qdisc del dev DEVICE root`, then `tc qdisc add` of each, parents first; all or nothing."""

    device: str
    qdiscs: tuple[Qdisc, ...] = ()


class SysctlWrite(_Operation, frozen=True):
    """`sysctl -w KEY=VALUE`, the key with dots."""

    key: str
    value: str


class IptablesRestore(_Operation, frozen=True):
    """`iptables-restore [--noflush] [--counters]`: all or nothing. `owner` is put on every rule of the text."""

    text: str
    family: Literal["ipv4", "ipv6"] = "ipv4"
    noflush: bool = False
    counters: bool = False
    owner: str = ""


class IptablesCommand(_Operation, frozen=True):
    """One `iptables` call that changes something, as its arguments."""

    arguments: tuple[str, ...]
    family: Literal["ipv4", "ipv6"] = "ipv4"
    owner: str = ""


class NftRestore(_Operation, frozen=True):
    """`nft -f`: one transaction, all or nothing."""

    text: str


class IpsetRestore(_Operation, frozen=True):
    """`ipset restore`: line by line; the first that fails is named, and the lines before it stay done."""

    text: str


class ConntrackDelete(_Operation, frozen=True):
    """`conntrack -D`: every connection that fits; "" and 0 fit all. Reply fields are those after NAT."""

    protocol: Literal["", "tcp", "udp", "icmp", "icmpv6", "sctp"] = ""
    original_source: str = ""
    original_destination: str = ""
    original_destination_port: int = 0
    reply_source: str = ""
    reply_source_port: int = 0
    reply_destination: str = ""


class _OfIpvsService(_Operation, frozen=True, kw_only=True):
    """Names a virtual service: by `fwmark` and `family` if the mark is not 0, else by protocol, address and port."""

    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    address: str = ""
    port: int = 0
    fwmark: int = 0
    family: Literal["ipv4", "ipv6"] = "ipv4"


class _IpvsService(_OfIpvsService, frozen=True, kw_only=True):
    scheduler: str = "wlc"
    persistent: int = 0
    netmask: str = ""
    """Dotted, or for IPv6 a prefix length: clients under it are one; "" for each by itself."""
    one_packet: bool = False
    schedule_flags: tuple[str, ...] = ()


class IpvsServiceAdd(_IpvsService, frozen=True):
    """`ipvsadm -A`: `persistent` is seconds, 0 for none; EEXIST, ENOENT for an unknown scheduler."""


class IpvsServiceSet(_IpvsService, frozen=True):
    """`ipvsadm -E`: ESRCH if there is no such service."""


class IpvsServiceDelete(_OfIpvsService, frozen=True):
    """`ipvsadm -D`."""


class _OfIpvsDestination(_OfIpvsService, frozen=True):
    server: str
    server_port: int


class _IpvsDestination(_OfIpvsDestination, frozen=True):
    weight: int = 1
    forward: Literal["masquerade"] = "masquerade"
    upper_threshold: int = 0
    lower_threshold: int = 0


class IpvsDestinationAdd(_IpvsDestination, frozen=True):
    """`ipvsadm -a -m`: ESRCH if there is no such service, EEXIST."""


class IpvsDestinationSet(_IpvsDestination, frozen=True):
    """`ipvsadm -e -m`: ENOENT if there is no such server. Weight 0 lets its connections run out."""


class IpvsDestinationDelete(_OfIpvsDestination, frozen=True):
    """`ipvsadm -d`: the server's connections die with it."""


class IpvsFlush(_Operation, frozen=True):
    """`ipvsadm -C`."""


class IpvsZero(_OfIpvsService, frozen=True):
    """`ipvsadm -Z`: the counters of a service, or with neither address nor mark of all."""


class IpvsTimeouts(_Operation, frozen=True):
    """`ipvsadm --set`: seconds; 0 leaves one as it is."""

    tcp: int = 0
    tcp_fin: int = 0
    udp: int = 0


class Read(_Operation, frozen=True):
    """Read state back; the reply is a list of structs, or text for the iptables kinds."""

    kind: Literal[
        "links",
        "addresses",
        "routes",
        "neighbours",
        "fdb",
        "sysctls",
        "netns",
        "iptables-save",
        "conntrack",
        "ipset-save",
        "ipvs-services",
        "ipvs-connections",
        "ipvs-timeouts",
        "drops",
        "rules",
        "nft-ruleset",
        "qdiscs",
    ]
    table: str = ""
    family: Literal["ipv4", "ipv6"] = "ipv4"
    """Which addresses, routes, rules, iptables or connections; neighbours, links and FDB entries come all."""
    service: str = ""
    """Of the IPVS services only this one, as `tcp 10.96.0.1:80` (IPVS_CMD_GET_DEST)."""


type Operation = (
    NetnsAdd
    | NetnsDelete
    | LinkAdd
    | LinkSet
    | LinkDelete
    | AddressAdd
    | AddressDelete
    | RouteAdd
    | RouteReplace
    | RouteDelete
    | RuleAdd
    | RuleDelete
    | NeighbourReplace
    | NeighbourDelete
    | FdbReplace
    | FdbDelete
    | QdiscsReplace
    | SysctlWrite
    | IptablesRestore
    | IptablesCommand
    | NftRestore
    | IpsetRestore
    | ConntrackDelete
    | IpvsServiceAdd
    | IpvsServiceSet
    | IpvsServiceDelete
    | IpvsDestinationAdd
    | IpvsDestinationSet
    | IpvsDestinationDelete
    | IpvsFlush
    | IpvsZero
    | IpvsTimeouts
    | Read
)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of programming. `sequence` grows within an `epoch` of a requester; `boot_id` is the one believed in."""

    schema: int = SCHEMA
    requester: str
    epoch: int
    sequence: int
    boot_id: str
    operations: tuple[Operation, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Which operation failed and why: `index` into the request (-1: the envelope itself), `name` as `EEXIST`."""

    index: int
    errno: int
    name: str
    message: str


class Programmed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer: one reply per operation done. `repeated` says that it is the stored answer to this sequence."""

    schema: int = SCHEMA
    boot_id: str
    replies: tuple[Any, ...] = ()
    error: Failure | None = None
    repeated: bool = False


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device, read back."""

    index: int
    name: str
    kind: str
    mtu: int
    up: bool
    carrier: bool
    address: str
    master: str = ""
    peer: str = ""
    peer_netns: str = ""
    hairpin: bool = False
    vni: int = 0
    port: int = 0
    local: str = ""
    remote: str = ""
    rx_packets: int = 0
    rx_bytes: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_dropped: int = 0


class LinkAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address, read back."""

    device: str
    address: str
    scope: str


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A route, read back."""

    destination: str
    device: str = ""
    via: str = ""
    source: str = ""
    metric: int = 0
    table: str = "main"
    protocol: str = "boot"
    scope: str = "global"
    kind: str = "unicast"
    onlink: bool = False
    hops: list[NextHop] = []


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy rule, read back, in the words of `ip rule show`."""

    priority: int
    text: str


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A neighbour, read back."""

    device: str
    address: str
    mac: str
    state: str


class Fdb(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An FDB entry, read back."""

    device: str
    mac: str
    remote: str = ""
    permanent: bool = False


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A tracked connection, read back: tuples as (source, source port, destination, destination port)."""

    protocol: int
    state: str
    expires: int
    original: tuple[str, int, str, int]
    reply: tuple[str, int, str, int]
    assured: bool
    seen_reply: bool


class DropCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many packets died in a namespace for a reason."""

    netns: str
    reason: str
    packets: int


class IpvsStatistics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Connections, packets and bytes, in all or per second."""

    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0


class IpvsDestination(msgspec.Struct, frozen=True, kw_only=True):
    """A real server, read back."""

    server: str
    server_port: int
    weight: int
    active: int
    inactive: int
    persistent: int
    upper_threshold: int
    lower_threshold: int
    statistics: IpvsStatistics
    rates: IpvsStatistics


class IpvsService(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual service, read back; the server that was added last comes first."""

    fwmark: int
    family: str
    protocol: str
    address: str
    port: int
    scheduler: str
    persistent: int
    netmask: str
    one_packet: bool
    schedule_flags: tuple[str, ...]
    statistics: IpvsStatistics
    rates: IpvsStatistics
    destinations: tuple[IpvsDestination, ...]


class IpvsConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection or template of IPVS, read back: endpoints as (address, port), `expires` in ns."""

    protocol: int
    client: tuple[str, int]
    virtual: tuple[str, int]
    server: tuple[str, int]
    state: str
    expires: int
    template: bool
