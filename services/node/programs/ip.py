"""ip and bridge on the namespace that the program runs in; changes only where the machine itself may be touched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Selector
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations.routes import table_name
from podwire.services.node.kernel.operations.text import address, prefix
from podwire.services.node.kernel.printing import links, routes
from podwire.services.node.kernel.printing.rules import ip_rule
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.network.sockets import Network
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.ip_arguments import IpCall, IpError, pairs, read_call, select
from podwire.services.node.programs.ip_rules import read_rule
from podwire.services.node.runtime.programs import find_program, run

_NETLINK: Final = 2
"""ip's exit code for what the kernel refused."""


async def ip(process: Process) -> int:
    """ip [OPTION]… OBJECT COMMAND …"""
    try:
        call = read_call(process.arguments[1:])
        if call.namespace:
            process = _enter(process, call.namespace)
        if call.subject == "netns" and call.command == "exec":
            return await _exec(process, call.words)
        await process.print(_run(process, call))
    except IpError as error:
        await process.complain(str(error))
        return error.code
    except KernelError as error:
        text = error.strerror or ""
        is_own_text = text.startswith(("Cannot", "RTNETLINK", "Device")) or '"' in text
        await process.complain(text if is_own_text else f"RTNETLINK answers: {text}")
        return 1 if text.startswith(("Cannot", "Device")) else _NETLINK
    return 0


def _enter(process: Process, name: str) -> Process:
    """The process in another network namespace. Raises IpError."""
    shell = process.network.shell
    if process.machine is None or not name or name not in shell.kernel.namespaces:
        raise IpError(f'Cannot open network namespace "{name}": No such file or directory')
    return replace(process, network=Network(shell, name, process.network.trace, user=process.user, group=process.group))


async def _exec(process: Process, words: tuple[str, ...]) -> int:
    if len(words) < 2:
        raise IpError("No netns name specified" if not words else "No command specified")
    inside = _enter(process, words[0])
    program = find_program(process.programs, words[1])
    if program is None:
        raise IpError(f'exec of "{words[1]}" failed: No such file or directory')
    return await run(inside.with_arguments(list(words[1:])), program)


def _run(process: Process, call: IpCall) -> str:
    with process.network.shell.turn() as kernel:
        namespace = kernel.namespace(process.network.namespace)
        if (call.subject, call.command) in _READERS:
            return _READERS[call.subject, call.command](process, namespace, call)
        change = _CHANGES[call.subject, call.command](namespace, call)
        if process.machine is None:
            raise KernelError(1, "Operation not permitted")
        apply_operation(kernel, change)
        return ""


# -- reading


def _show_links(process: Process, namespace: Namespace, call: IpCall) -> str:
    return _shown(links.ip_link, namespace, call)


def _show_addresses(process: Process, namespace: Namespace, call: IpCall) -> str:
    return _shown(links.ip_addr, namespace, call)


def _shown(show: Callable[[Namespace, links.Selection], str], namespace: Namespace, call: IpCall) -> str:
    selection = select(call.selection, call.words)
    for name in (selection.device, selection.master):
        if name and name not in namespace.devices:
            raise IpError(f'Device "{name}" does not exist.', 1)
    return show(namespace, selection)


def _show_routes(process: Process, namespace: Namespace, call: IpCall) -> str:
    found, others = pairs(call.words, ("table", "dev", "proto", "scope"))
    table = found.get("table", "main")
    if table != "all":
        table = _table(call, namespace, table)
    text = routes.ip_route(namespace, table, found.get("dev", ""), family=call.family)
    wanted = [word if word == "default" else _prefix_text(word) for word in others if word not in ("exact", "match")]
    return "".join(line for line in text.splitlines(keepends=True) if _fits(line, found, wanted))


def _table(call: IpCall, namespace: Namespace, given: str) -> str:
    """The table's name. Raises IpError if it is no name, and if it has never held a route."""
    try:
        name = table_name(given)
    except KernelError as error:
        raise IpError(f"Error: {error.strerror}") from None
    fib = namespace.fib6 if call.family == "ipv6" else namespace.fib
    if name not in (*fib.tables(), "main", "local", "default"):
        raise IpError(f"Error: {call.family}: FIB table does not exist.\nDump terminated", _NETLINK)
    return name


def _fits(line: str, found: dict[str, str], wanted: list[str]) -> bool:
    words = line.split()
    destination = next(word for word in words if word == "default" or word[0].isdigit() or ":" in word)
    if any(key in found and f" {key} {found[key]} " not in f" {line}" for key in ("proto", "scope")):
        return False
    return not wanted or destination in wanted


def _prefix_text(word: str) -> str:
    try:
        prefix(word)
    except KernelError:
        raise IpError(f'Error: any valid prefix is expected rather than "{word}".', 1) from None
    return word.removesuffix("/32").removesuffix("/128")


def _get_route(process: Process, namespace: Namespace, call: IpCall) -> str:
    found, words = pairs(call.words, ("from", "iif", "oif", "mark", "to"))
    words += [found["to"]] if "to" in found else []
    if not words:
        raise IpError("need at least a destination address", 1)
    selector = Selector(
        _address(words[0].partition("/")[0]),
        _address(found["from"]) if "from" in found else 0,
        _hexadecimal(found.get("mark", "0"), "mark"),
        found.get("iif", ""),
    )
    if selector.in_device:
        namespace.device(selector.in_device)
    return routes.ip_route_get(namespace, selector)


def _address(word: str) -> int:
    try:
        return address(word)
    except KernelError:
        raise IpError(f'Error: any valid prefix is expected rather than "{word}".', 1) from None


def _hexadecimal(text: str, what: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise IpError(f'Error: argument "{text}" is wrong: {what} value is invalid', 255)
    return number


def _show_neighbours(process: Process, namespace: Namespace, call: IpCall) -> str:
    found, _ = pairs(call.words, ("dev", "nud"), ("proxy",))
    if "proxy" in found:
        return routes.ip_neigh_proxy(namespace)
    return routes.ip_neigh(namespace, found.get("dev", ""), family=call.selection.family)


def _show_rules(process: Process, namespace: Namespace, call: IpCall) -> str:
    return ip_rule(namespace.fib6 if call.family == "ipv6" else namespace.fib)


def _show_namespaces(process: Process, namespace: Namespace, call: IpCall) -> str:
    if process.machine is None:
        return ""
    names = [name for name in namespace.kernel.namespaces if name]
    return "".join(f"{name} (id: {number})\n" for number, name in reversed(list(enumerate(names))))


def _identify(process: Process, namespace: Namespace, call: IpCall) -> str:
    return f"{namespace.name}\n" if namespace.name and process.machine is not None else ""


_READERS: Final[dict[tuple[str, str], Callable[[Process, Namespace, IpCall], str]]] = {
    ("link", "show"): _show_links,
    ("address", "show"): _show_addresses,
    ("route", "show"): _show_routes,
    ("route", "get"): _get_route,
    ("neigh", "show"): _show_neighbours,
    ("netns", "show"): _show_namespaces,
    ("netns", "identify"): _identify,
    ("rule", "show"): _show_rules,
}


# -- changing


def _set_link(namespace: Namespace, call: IpCall) -> Any:
    keys = ("dev", "mtu", "address", "master", "name", "netns")
    found, others = pairs(call.words, keys, ("up", "down", "nomaster"))
    name = found.get("dev") or (others.pop(0) if others else "")
    if not name or others:
        raise IpError(f'Error: either "dev" is duplicate, or "{others[0]}" is a garbage.' if others else "Not enough")
    return operations.LinkSet(
        netns=namespace.name,
        name=name,
        up=True if "up" in found else False if "down" in found else None,
        mtu=_number(found["mtu"], "mtu") if "mtu" in found else None,
        address=found.get("address"),
        master="" if "nomaster" in found else found.get("master"),
        new_name=found.get("name"),
        new_netns=found.get("netns"),
    )


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise IpError(f'Error: argument "{text}" is wrong: Invalid "{what}" value', 255)
    return int(text)


def _add_link(namespace: Namespace, call: IpCall) -> Any:
    found, others = pairs(call.words, ("name", "dev", "type", "mtu", "address"))
    kind = found.get("type", "")
    name = found.get("name") or found.get("dev") or (others.pop(0) if others else "")
    if kind == "veth" and others[:2] == ["peer", "name"] and len(others) == 3:
        return operations.LinkAdd(netns=namespace.name, kind="veth", name=name, peer=others[2])
    if kind not in ("bridge", "dummy", "veth") or others:
        raise IpError(f"ip link add: type {kind or 'nothing'} {' '.join(others)} is not built".rstrip(), 1)
    return operations.LinkAdd(
        netns=namespace.name,
        kind="bridge" if kind == "bridge" else "dummy" if kind == "dummy" else "veth",
        name=name,
        mtu=_number(found.get("mtu", "0"), "mtu"),
        address=found.get("address", ""),
    )


def _delete_link(namespace: Namespace, call: IpCall) -> Any:
    found, others = pairs(call.words, ("dev",))
    name = found.get("dev") or (others[0] if others else "")
    return operations.LinkDelete(netns=namespace.name, name=name)


def _change_address(namespace: Namespace, call: IpCall) -> Any:
    found, others = pairs(call.words, ("dev", "broadcast", "brd", "scope"), ("noprefixroute", "nodad"))
    if "dev" not in found or len(others) != 1:
        raise IpError('Not enough information: "dev" argument is required.')
    given = others[0]
    address = given if "/" in given else f"{given}/128" if ":" in given else f"{given}/32"
    if call.command == "delete":
        return operations.AddressDelete(netns=namespace.name, device=found["dev"], address=address)
    return operations.AddressAdd(
        netns=namespace.name,
        device=found["dev"],
        address=address,
        broadcast=found.get("broadcast", found.get("brd", "")),
        scope=found.get("scope", "global"),
        noprefixroute="noprefixroute" in found,
    )


_KINDS: Final = ("unicast", "blackhole", "unreachable", "prohibit", "throw")


def _change_route(namespace: Namespace, call: IpCall) -> Any:
    found, others = pairs(call.words, ("via", "dev", "src", "metric", "proto", "scope", "table"), ("onlink",))
    kind = others.pop(0) if others and others[0] in _KINDS else "unicast"
    if len(others) != 1:
        raise IpError(f"ip route {call.command}: {' '.join(call.words)}: not built", 1)
    if call.command == "delete":
        metric = _number(found["metric"], "metric") if "metric" in found else None
        return operations.RouteDelete(
            netns=namespace.name,
            destination=_destination(call, others[0]),
            via=found.get("via", ""),
            device=found.get("dev", ""),
            metric=metric,
            table=found.get("table", "main"),
        )
    make = operations.RouteAdd if call.command == "add" else operations.RouteReplace
    return make(
        netns=namespace.name,
        destination=_destination(call, others[0]),
        via=found.get("via", ""),
        device=found.get("dev", ""),
        source=found.get("src", ""),
        metric=_number(found.get("metric", "0"), "metric"),
        table=found.get("table", "main"),
        protocol=found.get("proto", "boot"),
        scope=found.get("scope", ""),
        kind=kind,  # type: ignore[arg-type]  # one of _KINDS
        onlink="onlink" in found,
    )


def _destination(call: IpCall, word: str) -> str:
    return "::/0" if word == "default" and call.family == "ipv6" else word


def _change_rule(namespace: Namespace, call: IpCall) -> Any:
    make = operations.RuleAdd if call.command == "add" else operations.RuleDelete
    return make(netns=namespace.name, **read_rule(call.words, call.family))


def _change_neighbour(namespace: Namespace, call: IpCall) -> Any:
    found, others = pairs(call.words, ("dev", "lladdr", "nud", "proxy"), ())
    others += [found["proxy"]] if "proxy" in found else []
    if len(others) != 1 or "dev" not in found:
        raise IpError("Device and destination are required arguments.")
    if call.command == "delete":
        return operations.NeighbourDelete(
            netns=namespace.name, device=found["dev"], address=others[0], proxy="proxy" in found
        )
    mac = found.get("lladdr", "")
    return operations.NeighbourReplace(
        netns=namespace.name, device=found["dev"], address=others[0], mac=mac, proxy="proxy" in found
    )


_CHANGES: Final[dict[tuple[str, str], Callable[[Namespace, IpCall], Any]]] = {
    ("link", "set"): _set_link,
    ("link", "add"): _add_link,
    ("link", "delete"): _delete_link,
    ("address", "add"): _change_address,
    ("address", "delete"): _change_address,
    ("route", "add"): _change_route,
    ("route", "replace"): _change_route,
    ("route", "delete"): _change_route,
    ("rule", "add"): _change_rule,
    ("rule", "delete"): _change_rule,
    ("neigh", "add"): _change_neighbour,
    ("neigh", "replace"): _change_neighbour,
    ("neigh", "delete"): _change_neighbour,
}


async def bridge(process: Process) -> int:
    """bridge [-d] link|fdb [show] [dev DEVICE] [br BRIDGE]"""
    try:
        options = parse_options(process.arguments[1:], "dscno", {"details": "d", "color": "c"}, permute=False)
        subject, *words = options.operands or [""]
        if subject not in ("link", "fdb"):
            raise UsageError(f'Object "{subject}" is unknown, try "bridge help".')
        if words and words[0] not in ("show", "list", "lst"):
            raise UsageError(f"bridge {subject} {words[0]}: not built: only show is")
        found, others = pairs(words[1:], ("dev", "br", "brport", "vlan"))
        if others:
            raise UsageError(f'Error: argument "{others[0]}" is wrong')
        await process.print(_bridge_text(process, subject, found, "d" in options))
    except (UsageError, IpError) as error:
        await process.complain(str(error))
        return 255
    except KernelError as error:
        await process.complain(error.strerror or "")
        return 1
    return 0


def _bridge_text(process: Process, subject: str, found: dict[str, str], details: bool) -> str:
    with process.network.shell.turn() as kernel:
        namespace = kernel.namespace(process.network.namespace)
        device = found.get("dev", found.get("brport", ""))
        if subject == "link":
            return links.bridge_link(namespace, device, details=details)
        text = links.bridge_fdb(namespace, device)
    if "br" not in found:
        return text
    return "".join(line for line in text.splitlines(keepends=True) if f" master {found['br']} " in f"{line} ")
