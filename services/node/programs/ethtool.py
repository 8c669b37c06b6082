"""ethtool (6.1): the link, the driver and the counters of a device, as far as an emulated one has them."""

from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.devices.veth import Veth
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options

_LONG = {"driver": "i", "statistics": "S", "show-features": "k", "show-offload": "k"}
_WITHOUT_DRIVER = ("loopback",)
_NO_DEVICE = 71


async def ethtool(process: Process) -> int:
    """ethtool [-i|-S] DEVICE"""
    try:
        options = parse_options(process.arguments[1:], "iSk", _LONG)
        if len(options.operands) != 1:
            raise UsageError("bad command line argument(s)\nFor more information run ethtool -h")
        if "k" in options:
            raise UsageError("-k: not built: emulated devices offload nothing")
    except UsageError as error:
        await process.complain(f"ethtool: {error}")
        return 1
    name = options.operands[0]
    with process.network.shell.turn() as kernel:
        kernel.settle()
        device = kernel.namespace(process.network.namespace).devices.get(name)
        text = "" if device is None else _text(device, "i" in options, "S" in options)
    if device is None:
        what = "driver information" if "i" in options else "stats strings information" if "S" in options else "settings"
        await process.complain(f"Cannot get {what}: No such device")
        return _NO_DEVICE
    if not text:
        what = "Cannot get driver information: Operation not supported" if "i" in options else "no stats available"
        await process.complain(what)
        return _NO_DEVICE if "i" in options else 94
    await process.print(text)
    return 0


def _text(device: Device, driver: bool, statistics: bool) -> str:
    if driver:
        return "" if device.kind in _WITHOUT_DRIVER else _driver(device)
    if statistics:
        rows = _statistics(device)
        return "NIC statistics:\n" + "".join(f"     {name}: {value}\n" for name, value in rows) if rows else ""
    link = "yes" if device.up and device.carrier else "no"
    return f"Settings for {device.name}:\n\tLink detected: {link}\n"


def _driver(device: Device) -> str:
    kind = "podwire" if device.kind == "nic" else device.kind
    support = "yes" if _statistics(device) else "no"
    return (
        f"driver: {kind}\nversion: 1.0\nfirmware-version: \nexpansion-rom-version: \nbus-info: \n"
        f"supports-statistics: {support}\nsupports-test: no\nsupports-eeprom-access: no\n"
        "supports-register-dump: no\nsupports-priv-flags: no\n"
    )


def _statistics(device: Device) -> list[tuple[str, int]]:
    """A veth tells its other end's index (drivers/net/veth.c); a NIC what it has counted."""
    if isinstance(device, Veth):
        return [("peer_ifindex", device.peer.index if device.peer is not None else 0)]
    if device.kind != "nic":
        return []
    return [
        ("rx_packets", device.received.packets),
        ("tx_packets", device.sent.packets),
        ("rx_bytes", device.received.bytes),
        ("tx_bytes", device.sent.bytes),
        ("rx_dropped", device.receive_drops),
        ("tx_dropped", device.send_drops),
    ]
