"""`ip link show`, `ip addr show`, `bridge link show` and `bridge fdb show` (iproute2 ip/ipaddress.c, bridge/)."""

from dataclasses import dataclass

from podwire.proto.packet.addresses import BROADCAST_MAC, ZERO_MAC, format_address, format_mac, is_ipv6
from podwire.services.node.kernel.devices.bridge import Bridge
from podwire.services.node.kernel.devices.device import Address, Device
from podwire.services.node.kernel.devices.geneve import GeneveDevice
from podwire.services.node.kernel.devices.ipip import IpipDevice
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.kernel.devices.vxlan import VxlanDevice
from podwire.services.node.kernel.namespace import Namespace

WITH_QUEUE_LENGTH = ("loopback", "nic", "bridge", "dummy")
_NEVER_KNOWN = ("loopback", "vxlan", "geneve", "ipip", "dummy")


@dataclass(frozen=True, slots=True)
class Selection:
    """What `ip`'s arguments chose: a device, a kind (`type`), a master, only those that are up; and the options."""

    device: str = ""
    kind: str = ""
    master: str = ""
    only_up: bool = False
    brief: bool = False
    details: bool = False
    statistics: bool = False
    oneline: bool = False
    family: str = ""
    """"ipv4", "ipv6" or "" for both."""


ALL = Selection()


def selected(namespace: Namespace, selection: Selection) -> list[Device]:
    """The devices chosen, by index; KernelError ENODEV for a device that is not there."""
    if selection.device:
        return [namespace.device(selection.device)]
    return [
        device
        for device in sorted(namespace.devices.values(), key=lambda each: each.index)
        if selection.kind in ("", device.kind)
        and (not selection.master or (device.master is not None and device.master.name == selection.master))
        and (device.up or not selection.only_up)
    ]


def ip_link(namespace: Namespace, selection: Selection = ALL) -> str:
    """`ip link show`."""
    namespace.kernel.settle()
    return _join([_link_lines(device, selection, mode=True) for device in selected(namespace, selection)], selection)


def ip_addr(namespace: Namespace, selection: Selection = ALL) -> str:
    """`ip [-4|-6] addr show`; with a family only the devices that have an address of it."""
    namespace.kernel.settle()
    blocks = []
    for device in selected(namespace, selection):
        addresses = shown_addresses(device, selection)
        if selection.family and not addresses:
            continue
        if selection.brief:
            blocks.append([_brief_address(device, addresses)])
        elif selection.oneline:
            blocks += [_one_line(device, each) for each in addresses]
        else:
            lines = _link_lines(device, selection, mode=False)
            blocks.append((lines[:1] if selection.family else lines) + _address_lines(addresses))
    return _join(blocks, selection)


def link_block(device: Device) -> str:
    """A link as `ip monitor` tells of it: without its queue, with a blank behind its first line."""
    first, *rest = _link_lines(device, ALL, mode=False)
    return "\n".join([first.removesuffix(" qlen 1000") + " ", *rest])


def address_blocks(device: Device, selection: Selection) -> list[str]:
    """Each address as `ip monitor` tells of it."""
    return ["\n".join(_one_line(device, each)) for each in shown_addresses(device, selection)]


def _one_line(device: Device, address: Address) -> list[str]:
    """-o shows addresses only, each with its device."""
    first, *rest = _address_lines([address])
    return [f"{device.index}: {device.name}{first}", *rest]


def _join(blocks: list[list[str]], selection: Selection) -> str:
    glue = "\\" if selection.oneline and not selection.brief else "\n"
    return "".join(glue.join(lines) + "\n" for lines in blocks)


def flags(device: Device) -> str:
    """The flags between angle brackets, in iproute2's order."""
    names = ["NO-CARRIER"] if device.up and not device.carrier else []
    if device.kind == "loopback":
        names.append("LOOPBACK")
    elif isinstance(device, IpipDevice):
        names += ["POINTOPOINT", "NOARP"] if device.remote else ["NOARP"]
    else:
        names += ["BROADCAST", "NOARP"] if device.kind == "dummy" else ["BROADCAST", "MULTICAST"]
    names += ["UP"] if device.up else []
    names += ["LOWER_UP"] if device.up and device.carrier else []
    return ",".join(names)


def state(device: Device) -> str:
    """The operational state (RFC 2863)."""
    if not device.up:
        return "DOWN"
    if device.kind in _NEVER_KNOWN:
        return "UNKNOWN"
    if device.carrier:
        return "UP"
    return "LOWERLAYERDOWN" if device.kind == "veth" else "DOWN"


def full_name(device: Device) -> str:
    """The name, with `@peer` or `@ifN` for a veth."""
    if isinstance(device, IpipDevice):
        return f"{device.name}@{device.link.name if device.link is not None else 'NONE'}"
    peer = device.peer if isinstance(device, Veth) else None
    if peer is None:
        return device.name
    return f"{device.name}@{peer.name if peer.namespace is device.namespace else f'if{peer.index}'}"


def _link_lines(device: Device, selection: Selection, *, mode: bool) -> list[str]:
    if selection.brief:
        mac = format_mac(device.mac)
        return [f"{full_name(device):<16} {state(device):<14} {mac} <{flags(device)}> "]
    parts = [f"{device.index}: {full_name(device)}: <{flags(device)}> mtu {device.mtu}"]
    parts.append(f"qdisc {device.queue_discipline if device.up else 'noop'}")
    parts += [f"master {device.master.name}"] if device.master is not None else []
    parts.append(f"state {state(device)}")
    parts += ["mode DEFAULT"] if mode else []
    parts.append("group default")
    parts += ["qlen 1000"] if device.kind in WITH_QUEUE_LENGTH else []
    lines = [" ".join(parts), _address_line(device, selection)]
    if selection.details:
        lines += _details(device)
    return lines + (_statistics(device) if selection.statistics else [])


def _address_line(device: Device, selection: Selection) -> str:
    kind, own, other = link_addresses(device)
    line = f"    link/{kind} {own} {'peer' if 'POINTOPOINT' in flags(device) else 'brd'} {other}"
    peer = device.peer if isinstance(device, Veth) else None
    if peer is not None and peer.namespace is not device.namespace:
        line += f" link-netns {peer.namespace.name}" if peer.namespace.name else " link-netnsid 0"
    return line + (" promiscuity 0 allmulti 0 minmtu 68 maxmtu 65535" if selection.details else "")


def link_addresses(device: Device) -> tuple[str, str, str]:
    """The link's type, the device's own address on it, and the broadcast address or the other end's."""
    if isinstance(device, IpipDevice):
        return "ipip", format_address(device.local), format_address(device.remote)
    if device.kind == "loopback":
        return "loopback", format_mac(ZERO_MAC), format_mac(ZERO_MAC)
    return "ether", format_mac(device.mac), format_mac(BROADCAST_MAC)


def _details(device: Device) -> list[str]:
    tail = "addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535"
    if isinstance(device, VxlanDevice):
        zero = device.fdb.get(ZERO_MAC)
        remote = f" remote {format_address(zero.remote)}" if zero is not None else ""
        local = f" local {format_address(device.local)}" if device.local is not None else ""
        link = f" dev {device.link.name}" if device.link is not None else ""
        learning = "" if device.learning else " nolearning"
        return [
            f"    vxlan id {device.vni}{remote}{local}{link} srcport 0 0 dstport {device.port_number}{learning} "
            f"ttl auto ageing 300 {_no(device.udp_checksum)}udpcsum noudp6zerocsumtx noudp6zerocsumrx {tail}"
        ]
    if isinstance(device, GeneveDevice):
        return [
            f"    geneve id {device.vni} remote {format_address(device.remote)} ttl {device.ttl or 'auto'} "
            f"dstport {device.port_number} {_no(device.udp_checksum)}udpcsum udp6zerocsumrx {tail}"
        ]
    if isinstance(device, IpipDevice):
        remote, local = (format_address(each) if each else "any" for each in (device.remote, device.local))
        link = f" dev {device.link.name}" if device.link is not None else ""
        return [f"    ipip ipip remote {remote} local {local}{link} ttl {device.ttl or 'inherit'} pmtudisc {tail}"]
    if isinstance(device, Bridge):
        return [f"    bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000 stp_state 0 {tail}"]
    if isinstance(device, Veth):
        return ["    veth", *_slave_details(device), f"    {tail}"]
    return ["    dummy"] if device.kind == "dummy" else []


def _slave_details(device: Device) -> list[str]:
    if device.port is None:
        return []
    hairpin, learning = _on(device.port.hairpin), _on(device.port.learning)
    return [
        f"    bridge_slave state forwarding priority 32 cost 2 hairpin {hairpin} guard off root_block off "
        f"fastleave off learning {learning} flood {_on(device.port.unicast_flood)}"
    ]


def _no(value: bool) -> str:
    return "" if value else "no"


def _on(value: bool) -> str:
    return "on" if value else "off"


def _statistics(device: Device) -> list[str]:
    """Columns as wide as their heading or their longest number (iproute2 ip/ipaddress.c, size_columns)."""
    rows = [
        (device.received.bytes, device.received.packets, 0, device.receive_drops, 0, 0),
        (device.sent.bytes, device.sent.packets, 0, device.send_drops, 0, 0),
    ]
    widths = [
        max(least, *(len(str(row[at])) for row in rows)) for at, least in enumerate((len("*X errors:"), 7, 6, 7, 7, 7))
    ]
    lines = []
    for head, names, row in zip(("RX: ", "TX: "), _COLUMNS, rows, strict=True):
        titles = [f"{name:>{width}}" for name, width in zip(names[1:], widths[1:], strict=True)]
        lines.append(" ".join([f"    {head}{names[0]:>{widths[0] - len(head)}}", *titles, " " * len("compressed")]))
        numbers = (f"{number:>{width}}" for number, width in zip(row, widths, strict=True))
        lines.append(f"    {' '.join(numbers)} ")
    return lines


_COLUMNS = (
    ("bytes", "packets", "errors", "dropped", "missed", "mcast"),
    ("bytes", "packets", "errors", "dropped", "carrier", "collsns"),
)


def shown_addresses(device: Device, selection: Selection) -> list[Address]:
    """The addresses of the chosen families."""
    found = list(device.addresses) if selection.family != "ipv6" else []
    return found + (device.addresses6 if selection.family != "ipv4" else [])


def _address_lines(addresses: list[Address]) -> list[str]:
    lines = []
    for address in addresses:
        family = "inet6" if is_ipv6(address.address) else "inet"
        broadcast = f" brd {format_address(address.broadcast)}" if address.broadcast is not None else ""
        noprefix = " noprefixroute" if address.noprefixroute else ""
        lines.append(
            f"    {family} {format_address(address.address)}/{address.length}{broadcast} "
            f"scope {address.scope}{noprefix} {address.label}"
        )
        lines.append("       valid_lft forever preferred_lft forever")
    return lines


def _brief_address(device: Device, addresses: list[Address]) -> str:
    texts = "".join(f"{format_address(each.address)}/{each.length} " for each in addresses)
    return f"{full_name(device):<16} {state(device):<14} {texts}"


def bridge_link(namespace: Namespace, device: str = "", *, details: bool = False) -> str:
    """`bridge [-d] link show [dev DEVICE]`."""
    lines = []
    for each in selected(namespace, Selection(device=device)):
        if each.port is None:
            continue
        forwarding = "forwarding" if each.carrier else "disabled"
        lines.append(
            f"{each.index}: {full_name(each)}: <{flags(each)}> mtu {each.mtu} "
            f"master {each.port.bridge.name} state {forwarding} priority 32 cost 2 "
        )
        if details:
            lines.append(
                f"    hairpin {_on(each.port.hairpin)} guard off root_block off fastleave off "
                f"learning {_on(each.port.learning)} flood {_on(each.port.unicast_flood)} mcast_flood on "
            )
    return "".join(line + "\n" for line in lines)


@dataclass(frozen=True, slots=True)
class FdbRow:
    """A forwarding entry of a bridge's port (`master`), or of a tunnel (`remote`)."""

    mac: str
    device: str
    master: str
    remote: str
    state: str


def fdb_rows(namespace: Namespace, device: str = "") -> list[FdbRow]:
    """What `bridge fdb show [dev DEVICE]` lists; KernelError ENODEV."""
    namespace.kernel.settle()
    rows: list[FdbRow] = []
    for each in selected(namespace, Selection(device=device)):
        if isinstance(each, VxlanDevice):
            for mac, entry in each.fdb.items():
                state = "permanent" if entry.permanent else ""
                rows.append(FdbRow(format_mac(mac), each.name, "", format_address(entry.remote), state))
        elif each.port is not None:
            bridge = each.port.bridge
            for mac, learned in bridge.fdb.items():
                if learned.port is each.port:
                    state = ("permanent" if mac == each.mac else "static") if learned.static else ""
                    rows.append(FdbRow(format_mac(mac), each.name, bridge.name, "", state))
    return rows


def bridge_fdb(namespace: Namespace, device: str = "") -> str:
    """`bridge fdb show [dev DEVICE]`."""
    lines = []
    for row in fdb_rows(namespace, device):
        words = [row.mac, *([] if device else ["dev", row.device]), *(["dst", row.remote] if row.remote else [])]
        words += ["master", row.master] if row.master else ["self"]
        lines.append(" ".join([*words, row.state]))
    return "".join(line + "\n" for line in lines)
