"""What `ip -j link`, `ip -j addr` and `bridge -j` say, as objects with iproute2's keys in its order."""

from typing import Any, Final

from podwire.proto.packet.addresses import ZERO_MAC, format_address, is_ipv6
from podwire.services.node.kernel.devices.bridge import Bridge, Port
from podwire.services.node.kernel.devices.device import Address, Device
from podwire.services.node.kernel.devices.geneve import GeneveDevice
from podwire.services.node.kernel.devices.ipip import IpipDevice
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.kernel.devices.vxlan import VxlanDevice
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.printing.links import (
    ALL,
    WITH_QUEUE_LENGTH,
    Selection,
    fdb_rows,
    flags,
    link_addresses,
    selected,
    shown_addresses,
    state,
)

FOREVER: Final = 4294967295
type Object = dict[str, Any]


def link_objects(namespace: Namespace, selection: Selection = ALL) -> list[Object]:
    """`ip -j link show`; KernelError ENODEV."""
    namespace.kernel.settle()
    return [_link(device, selection, mode=True) for device in selected(namespace, selection)]


def address_objects(namespace: Namespace, selection: Selection = ALL) -> list[Object]:
    """`ip -j [-4|-6] addr show`; with a family the devices without an address of it are empty objects, as in ip."""
    namespace.kernel.settle()
    found: list[Object] = []
    for device in selected(namespace, selection):
        addresses = shown_addresses(device, selection)
        if selection.family and not addresses:
            found.append({})
            continue
        if selection.oneline and not selection.brief:
            found.append(
                {"addr_info": [{"index": device.index, "dev": device.name} | _address(each) for each in addresses]}
            )
            continue
        link = _link(device, selection, mode=False)
        link["addr_info"] = [_address(each, brief=selection.brief) for each in addresses]
        found.append(link)
    return found


def _link(device: Device, selection: Selection, *, mode: bool) -> Object:
    _, own, other = link_addresses(device)
    names = flags(device).split(",")
    if selection.brief:
        made = {**_other_end(device), "ifname": device.name, "operstate": state(device)}
        return made | ({"address": own, "flags": names} if mode else {})
    made = {"ifindex": device.index, **_other_end(device), "ifname": device.name, "flags": names, "mtu": device.mtu}
    made["qdisc"] = device.queue_discipline if device.up else "noop"
    made |= {"master": device.master.name} if device.master is not None else {}
    made |= {"operstate": state(device)} | ({"linkmode": "DEFAULT"} if mode else {}) | {"group": "default"}
    made |= {"txqlen": 1000} if device.kind in WITH_QUEUE_LENGTH else {}
    made |= {"link_type": link_addresses(device)[0], "address": own}
    made |= {"link_pointtopoint": True} if "POINTOPOINT" in names else {}
    made |= {"broadcast": other, **_other_namespace(device)}
    made |= _details(device) if selection.details else {}
    return made | ({"stats64": _statistics(device)} if selection.statistics else {})


def _other_end(device: Device) -> Object:
    """The peer's name, or its index where it is in another namespace."""
    if isinstance(device, IpipDevice):
        return {"link": device.link.name if device.link is not None else None}
    peer = device.peer if isinstance(device, Veth) else None
    if peer is None:
        return {}
    return {"link": peer.name} if peer.namespace is device.namespace else {"link_index": peer.index}


def _other_namespace(device: Device) -> Object:
    peer = device.peer if isinstance(device, Veth) else None
    if peer is None or peer.namespace is device.namespace:
        return {}
    return {"link_netns": peer.namespace.name} if peer.namespace.name else {"link_netnsid": 0}


def _details(device: Device) -> Object:
    made: Object = {"promiscuity": int(device.port is not None), "allmulti": 0, "min_mtu": 68, "max_mtu": 65535}
    information: Object = {"info_kind": device.kind} if device.kind not in ("loopback", "nic") else {}
    information |= {"info_data": data} if (data := _data(device)) else {}
    if device.port is not None:
        information |= {"info_slave_kind": "bridge", "info_slave_data": _port_state(device) | _port(device.port)}
    made |= {"linkinfo": information} if information else {}
    return made | {"inet6_addr_gen_mode": "eui64", "num_tx_queues": 1, "num_rx_queues": 1}


def _data(device: Device) -> Object:
    if isinstance(device, VxlanDevice):
        return _vxlan(device)
    if isinstance(device, GeneveDevice):
        made: Object = {"id": device.vni, "remote": format_address(device.remote), "ttl": device.ttl}
        return made | {"port": device.port_number, "udp_csum": device.udp_checksum, "udp_zero_csum6_rx": True}
    if isinstance(device, IpipDevice):
        ends = {name: format_address(each) if each else "any" for name, each in _ends(device)}
        return {"proto": "ipip", **ends, "ttl": device.ttl, "pmtudisc": True}
    if isinstance(device, Bridge):
        return {"forward_delay": 1500, "hello_time": 200, "max_age": 2000, "ageing_time": 30000, "stp_state": 0}
    return {}


def _ends(device: IpipDevice) -> list[tuple[str, int]]:
    return [("remote", device.remote), ("local", device.local)]


def _vxlan(device: VxlanDevice) -> Object:
    made: Object = {"id": device.vni}
    zero = device.fdb.get(ZERO_MAC)
    made |= {"remote": format_address(zero.remote)} if zero is not None else {}
    made |= {"local": format_address(device.local)} if device.local is not None else {}
    made |= {"link": device.link.name} if device.link is not None else {}
    made |= {"port_range": {"low": 0, "high": 0}, "port": device.port_number, "learning": device.learning}
    checksums = {"udp_csum": device.udp_checksum, "udp_zero_csum6_tx": False, "udp_zero_csum6_rx": False}
    return made | {"ttl": 0, "df": "unset", "ageing": 300, **checksums}


def _statistics(device: Device) -> Object:
    received, sent = device.received, device.sent
    common = {"errors": 0, "dropped": device.receive_drops}
    rx = {"bytes": received.bytes, "packets": received.packets, **common, "over_errors": 0, "multicast": 0}
    tx = {"bytes": sent.bytes, "packets": sent.packets, "errors": 0, "dropped": device.send_drops}
    return {"rx": rx, "tx": {**tx, "carrier_errors": 0, "collisions": 0}}


def _address(address: Address, *, brief: bool = False) -> Object:
    if brief:
        return {"local": format_address(address.address), "prefixlen": address.length}
    is_new = is_ipv6(address.address)
    made: Object = {"family": "inet6" if is_new else "inet", "local": format_address(address.address)}
    made["prefixlen"] = address.length
    made |= {"broadcast": format_address(address.broadcast)} if address.broadcast is not None else {}
    made |= {"scope": address.scope} | ({"noprefixroute": True} if address.noprefixroute else {})
    made |= {"label": address.label} if not is_new else {}
    return made | {"valid_life_time": FOREVER, "preferred_life_time": FOREVER}


# -- bridge


def bridge_link_objects(namespace: Namespace, device: str = "", *, details: bool = False) -> list[Object]:
    """`bridge -j [-d] link show [dev DEVICE]`; KernelError ENODEV."""
    found = []
    for each in selected(namespace, Selection(device=device)):
        if each.port is not None:
            made: Object = {"ifindex": each.index, **_other_end(each), "ifname": each.name}
            made |= {"flags": flags(each).split(","), "mtu": each.mtu, "master": each.port.bridge.name}
            found.append(made | _port_state(each) | (_port(each.port) if details else {}))
    return found


def _port_state(device: Device) -> Object:
    return {"state": "forwarding" if device.carrier else "disabled", "priority": 32, "cost": 2}


def _port(port: Port) -> Object:
    made = {"hairpin": port.hairpin, "guard": False, "root_block": False, "fastleave": False}
    return {**made, "learning": port.learning, "flood": port.unicast_flood, "mcast_flood": True, "bcast_flood": True}


def fdb_objects(namespace: Namespace, device: str = "", bridge: str = "") -> list[Object]:
    """`bridge -j fdb show [dev DEVICE] [br BRIDGE]`; KernelError ENODEV."""
    found = []
    for row in fdb_rows(namespace, device):
        if bridge not in ("", row.master):
            continue
        made: Object = {"mac": row.mac} | ({} if device else {"ifname": row.device})
        made |= {"dst": row.remote} if row.remote else {}
        made |= {"flags": [] if row.master else ["self"]} | ({"master": row.master} if row.master else {})
        found.append(made | {"state": row.state})
    return found
