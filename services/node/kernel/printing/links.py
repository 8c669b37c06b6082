"""`ip link show`, `ip addr show`, `bridge link show` and `bridge fdb show` (iproute2 ip/ipaddress.c, bridge/)."""

from dataclasses import dataclass

from podwire.proto.packet.addresses import format_address, format_mac, is_ipv6
from podwire.services.node.kernel.devices.bridge import Bridge
from podwire.services.node.kernel.devices.device import Address, Device
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.kernel.devices.vxlan import VxlanDevice
from podwire.services.node.kernel.namespace import Namespace

_WITH_QUEUE_LENGTH = ("loopback", "nic", "bridge", "dummy")
_NEVER_KNOWN = ("loopback", "vxlan", "dummy")


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
        addresses = _shown_addresses(device, selection)
        if selection.family and not addresses:
            continue
        if selection.brief:
            blocks.append([_brief_address(device, addresses)])
        else:
            lines = _link_lines(device, selection, mode=False)
            blocks.append((lines[:1] if selection.family else lines) + _address_lines(addresses))
    return _join(blocks, selection)


def _join(blocks: list[list[str]], selection: Selection) -> str:
    glue = "\\" if selection.oneline and not selection.brief else "\n"
    return "".join(glue.join(lines) + "\n" for lines in blocks)


def flags(device: Device) -> str:
    """The flags between angle brackets, in iproute2's order."""
    names = ["NO-CARRIER"] if device.up and not device.carrier else []
    if device.kind == "loopback":
        names.append("LOOPBACK")
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
    parts += ["qlen 1000"] if device.kind in _WITH_QUEUE_LENGTH else []
    lines = [" ".join(parts), _address_line(device, selection)]
    if selection.details:
        lines += _details(device)
    return lines + (_statistics(device) if selection.statistics else [])


def _address_line(device: Device, selection: Selection) -> str:
    kind, broadcast = ("loopback", bytes(6)) if device.kind == "loopback" else ("ether", b"\xff" * 6)
    line = f"    link/{kind} {format_mac(device.mac)} brd {format_mac(broadcast)}"
    peer = device.peer if isinstance(device, Veth) else None
    if peer is not None and peer.namespace is not device.namespace:
        line += f" link-netns {peer.namespace.name}" if peer.namespace.name else " link-netnsid 0"
    return line + (" promiscuity 0 allmulti 0 minmtu 68 maxmtu 65535" if selection.details else "")


def _details(device: Device) -> list[str]:
    tail = "addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535"
    if isinstance(device, VxlanDevice):
        local = f" local {format_address(device.local)}" if device.local is not None else ""
        link = f" dev {device.link.name}" if device.link is not None else ""
        learning = "" if device.learning else " nolearning"
        return [
            f"    vxlan id {device.vni}{local}{link} srcport 0 0 dstport {device.port_number}{learning} "
            f"ttl auto ageing 300 noudpcsum noudp6zerocsumtx noudp6zerocsumrx {tail}"
        ]
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


def _on(value: bool) -> str:
    return "on" if value else "off"


def _statistics(device: Device) -> list[str]:
    def row(octets: int, packets: int, dropped: int) -> str:
        return f"    {octets:<10} {packets:<8} {0:<7} {dropped:<7} {0:<7} {0:<7} "

    return [
        "    RX: bytes  packets  errors  dropped missed  mcast   ",
        row(device.received.bytes, device.received.packets, device.receive_drops),
        "    TX: bytes  packets  errors  dropped carrier collsns ",
        row(device.sent.bytes, device.sent.packets, device.send_drops),
    ]


def _shown_addresses(device: Device, selection: Selection) -> list[Address]:
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


def bridge_fdb(namespace: Namespace, device: str = "") -> str:
    """`bridge fdb show [dev DEVICE]`."""
    namespace.kernel.settle()
    lines: list[str] = []
    for each in selected(namespace, Selection(device=device)):
        if isinstance(each, VxlanDevice):
            lines += [
                f"{format_mac(mac)} dev {each.name} dst {format_address(entry.remote)} self"
                + (" permanent" if entry.permanent else " ")
                for mac, entry in each.fdb.items()
            ]
        elif each.port is not None:
            lines += _port_entries(each)
    return "".join(line + "\n" for line in lines)


def _port_entries(device: Device) -> list[str]:
    assert device.port is not None
    bridge = device.port.bridge
    return [
        f"{format_mac(mac)} dev {device.name} master {bridge.name}" + (" permanent" if entry.static else " ")
        for mac, entry in bridge.fdb.items()
        if entry.port is device.port
    ]
