"""bridge (iproute2 bridge/*.c) on the namespace that the program runs in."""

from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.devices.bridge import Bridge
from podwire.services.node.kernel.devices.vxlan import VxlanDevice
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations import text
from podwire.services.node.kernel.printing import link_objects, links
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.ip.arguments import IpError, pairs
from podwire.services.node.programs.ip.json_text import render

_LONG: Final = {"details": "d", "color": "c", "json": "j", "pretty": "p", "statistics": "s", "oneline": "o"}
_SHOW: Final = ("show", "list", "lst")
_FLAGS: Final = ("self", "master", "permanent", "static", "dynamic", "local")
_REFUSED: Final = 255


@dataclass(frozen=True, slots=True)
class _Call:
    """The object, the command and its words; options."""

    subject: str
    command: str
    words: list[str]
    details: bool
    json: bool
    pretty: bool


def _read(arguments: list[str]) -> _Call:
    """Reads the command line; long options may have one hyphen. Raises UsageError."""
    spelt = [f"-{_LONG[word.lstrip('-')]}" if word.lstrip("-") in _LONG else word for word in arguments]
    options: Options = parse_options(spelt, "dscnojp", permute=False)
    subject, *rest = options.operands or [""]
    if subject in ("mdb", "monitor", "mst", "vni"):
        raise UsageError(f"bridge {subject}: not built")
    if subject not in ("link", "fdb", "vlan"):
        raise UsageError(f'Object "{subject}" is unknown, try "bridge help".')
    command, *words = rest or ["show"]
    return _Call(
        subject, "show" if command in _SHOW else command, words, "d" in options, "j" in options, "p" in options
    )


async def bridge(process: Process) -> int:
    """bridge [-djp] link show|set, fdb show|add|append|replace|del, vlan show"""
    try:
        call = _read(process.arguments[1:])
        with process.network.shell.turn() as kernel:
            namespace = kernel.namespace(process.network.namespace)
            if call.command == "show":
                shown = _show(namespace, call)
            else:
                shown, change = "", _change(namespace, call)
                if process.machine is None:
                    raise KernelError(1, "Operation not permitted")
                apply_operation(kernel, change)
        await process.print(shown if isinstance(shown, str) else render(shown, pretty=call.pretty))
    except (UsageError, IpError) as error:
        await process.complain(str(error))
        return _REFUSED
    except KernelError as error:
        words = error.strerror or ""
        await process.complain(words if words.startswith("Cannot") else f"RTNETLINK answers: {words}")
        return _REFUSED
    return 0


def _show(namespace: Namespace, call: _Call) -> str | list[Any]:
    found, others = pairs(call.words, ("dev", "br", "brport", "vlan", "vid"))
    if others:
        raise UsageError(f'Error: argument "{others[0]}" is wrong')
    device = found.get("dev", found.get("brport", ""))
    if call.subject == "vlan":
        if device:
            namespace.device(device)
        return [] if call.json else "port              vlan-id  \n"
    if call.subject == "link":
        if call.json:
            return link_objects.bridge_link_objects(namespace, device, details=call.details)
        return links.bridge_link(namespace, device, details=call.details)
    if "br" in found:
        namespace.device(found["br"])
    if call.json:
        return link_objects.fdb_objects(namespace, device, found.get("br", ""))
    shown = links.bridge_fdb(namespace, device)
    if "br" not in found:
        return shown
    return "".join(line for line in shown.splitlines(keepends=True) if f" master {found['br']} " in f"{line} ")


def _change(namespace: Namespace, call: _Call) -> Any:
    if call.subject == "link" and call.command == "set":
        return _set_link(namespace, call)
    if call.subject == "fdb" and call.command in ("add", "append", "replace", "del", "delete"):
        return _change_fdb(namespace, call)
    raise UsageError(f"bridge {call.subject} {call.command}: not built")


def _set_link(namespace: Namespace, call: _Call) -> operations.LinkSet:
    found, others = pairs(call.words, ("dev", "hairpin", "learning", "flood"), ("self", "master"))
    if others:
        raise UsageError(f"bridge link set {others[0]}: not built: hairpin, learning and flood are")
    if "dev" not in found:
        raise UsageError("Device is a required argument.")
    for key in ("hairpin", "learning", "flood"):
        if found.get(key, "on") not in ("on", "off"):
            raise UsageError(f'Error: argument of "{key}" must be "on" or "off", not "{found[key]}"')
    return operations.LinkSet(netns=namespace.name, name=found["dev"], **_switches(found))


def _switches(found: dict[str, str]) -> dict[str, Any]:
    return {key: found[key] == "on" for key in ("hairpin", "learning", "flood") if key in found}


def _change_fdb(namespace: Namespace, call: _Call) -> Any:
    """Without `master` an entry is the device's own (self), which tunnels and bridges have."""
    found, others = pairs(call.words, ("dev", "dst"), _FLAGS)
    for key in ("vni", "port", "via", "vlan", "nhid", "src_vni"):
        if key in others:
            raise UsageError(f"bridge fdb {call.command} {key}: not built")
    if "dev" not in found or len(others) != 1:
        raise UsageError("Device and address are required arguments.")
    mac, device = text.mac(others[0]), namespace.device(found["dev"])
    is_self = "master" not in found
    if isinstance(device, VxlanDevice):
        entries: Any = device.fdb
    elif isinstance(device, Bridge):
        entries = device.fdb
    elif device.port is not None and not is_self:
        entries = device.port.bridge.fdb
    else:
        raise KernelError(95, "Operation not supported")
    if call.command in ("del", "delete"):
        return operations.FdbDelete(netns=namespace.name, device=device.name, mac=others[0])
    if isinstance(device, VxlanDevice) and "dst" not in found:
        raise KernelError(22, "Invalid argument")
    if call.command == "add" and mac in entries:
        raise KernelError(17, "File exists")
    if call.command == "append" and mac in entries:
        raise UsageError(f"bridge fdb append {others[0]}: a second remote of one address is not built")
    is_permanent = not {"dynamic", "static"} & found.keys() or not isinstance(device, VxlanDevice)
    remote = found.get("dst", "")
    place = {"netns": namespace.name, "device": device.name, "mac": others[0]}
    return operations.FdbReplace(**place, remote=remote, permanent=is_permanent)
