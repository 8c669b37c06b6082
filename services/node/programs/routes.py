"""route, arp and ifconfig (net-tools; ifconfig as busybox prints it): reading only, changes are ip's."""

from typing import Final

from podwire.proto.packet.addresses import ZERO_MAC, format_address, format_mac, prefix_mask
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.process import Process

_HEADS: Final = {
    "netstat": "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface",
    "route": "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface",
}


def _namespace(process: Process) -> Namespace:
    return process.network.shell.kernel.namespace(process.network.namespace)


def routing_table(namespace: Namespace, form: str, *, numeric: bool) -> str:
    """The main table as `route` or `netstat -r` prints it."""
    lines = ["Kernel IP routing table", _HEADS[form]]
    routes = sorted(namespace.fib.routes(), key=lambda each: (each.length != 0, each.destination, -each.length))
    for route in routes:
        gateway = "0.0.0.0" if route.gateway is None else format_address(route.gateway)
        destination = format_address(route.destination)
        if not numeric:
            destination = "default" if route.length == 0 else destination
            gateway = "0.0.0.0" if route.gateway is None else gateway
        flags = "U" + ("G" if route.gateway is not None else "") + ("H" if route.length == 32 else "")
        head = f"{destination:<15} {gateway:<15} {format_address(prefix_mask(route.length)):<15} {flags:<5}"
        device = "-" if route.device is None else route.device.name
        tail = f"{route.metric:<6} {0:<2} {0:>7} " if form == "route" else f"{0:>5} {0:<5} {0:>6} "
        lines.append(f"{head} {tail}{device}")
    return "".join(f"{line}\n" for line in lines)


async def route(process: Process) -> int:
    """route [-n]"""
    words = process.arguments[1:]
    if any(word not in ("-n", "-e", "-4") for word in words):
        await process.complain("route: changing routes is not built here: use ip route")
        return 1
    await process.print(routing_table(_namespace(process), "route", numeric="-n" in words))
    return 0


async def arp(process: Process) -> int:
    """arp [-n] [-a]"""
    words = process.arguments[1:]
    if any(word.strip("-ane") for word in words):
        await process.complain("arp: changing entries is not built here: use ip neigh")
        return 1
    entries = sorted(_namespace(process).neighbours.all(), key=lambda each: (each.device.index, each.address))
    shown = [each for each in entries if each.state not in ("NONE", "NOARP")]
    lines = []
    for entry in shown:
        address, known = format_address(entry.address), entry.mac != ZERO_MAC and entry.state != "FAILED"
        mac = format_mac(entry.mac) if known else "(incomplete)" if "-a" not in words else "<incomplete>"
        if any("a" in word for word in words):
            ether = " [ether]" if known else ""
            lines.append(f"? ({address}) at {mac}{ether} on {entry.device.name}")
        elif known:
            lines.append(f"{address:<24} {'ether':<7} {mac:<19} {'C':<5} {'':<15} {entry.device.name}")
        else:
            lines.append(f"{address:<24} {'':<7} {mac:<19} {'':<5} {'':<15} {entry.device.name}")
    if lines and not any("a" in word for word in words):
        lines.insert(0, "Address                  HWtype  HWaddress           Flags Mask            Iface")
    await process.print("".join(f"{line}\n" for line in lines))
    return 0


async def ifconfig(process: Process) -> int:
    """ifconfig [-a] [DEVICE]"""
    words = [word for word in process.arguments[1:] if word != "-a"]
    namespace = _namespace(process)
    if len(words) > 1:
        await process.complain("ifconfig: changing devices is not built here: use ip link and ip addr")
        return 1
    if words and words[0] not in namespace.devices:
        await process.complain(f"ifconfig: {words[0]}: error fetching interface information: Device not found")
        return 1
    with process.network.shell.turn() as kernel:
        kernel.settle()
    devices = [namespace.devices[words[0]]] if words else sorted(namespace.devices.values(), key=lambda each: each.name)
    shown = [each for each in devices if each.up or words or "-a" in process.arguments]
    await process.print("".join(_interface(each) for each in shown))
    return 0


def _interface(device: Device) -> str:
    is_loopback = device.kind == "loopback"
    kind = "Local Loopback  " if is_loopback else f"Ethernet  HWaddr {format_mac(device.mac).upper()}  "
    lines = [f"{device.name:<9} Link encap:{kind}"]
    for address in device.addresses[:1]:
        broadcast = "" if address.broadcast is None else f"  Bcast:{format_address(address.broadcast)}"
        mask = format_address(prefix_mask(address.length))
        lines.append(f"          inet addr:{format_address(address.address)}{broadcast}  Mask:{mask}")
    flags = ["UP"] if device.up else []
    flags += ["LOOPBACK"] if is_loopback else ["BROADCAST"]
    flags += ["RUNNING"] if device.up and device.carrier else []
    flags += [] if is_loopback else ["MULTICAST"]
    received, sent = device.received, device.sent
    lines += [
        f"          {' '.join(flags)}  MTU:{device.mtu}  Metric:1",
        f"          RX packets:{received.packets} errors:0 dropped:0 overruns:0 frame:0",
        f"          TX packets:{sent.packets} errors:0 dropped:0 overruns:0 carrier:0",
        "          collisions:0 txqueuelen:1000 ",
        f"          RX bytes:{received.bytes} ({_scaled(received.bytes)})  "
        f"TX bytes:{sent.bytes} ({_scaled(sent.bytes)})",
    ]
    return "".join(f"{line}\n" for line in [*lines, ""])


def _scaled(octets: int) -> str:
    size, units = float(octets), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.1f} {units[0]}"
