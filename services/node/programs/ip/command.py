"""ip on the namespace that the program runs in; changes only where the machine itself may be touched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.network.sockets import Network
from podwire.services.node.process import Process
from podwire.services.node.programs.ip import addresses, links, namespaces, neighbours, policy, routes, tunnels
from podwire.services.node.programs.ip.arguments import IpCall, IpError, read_call
from podwire.services.node.programs.ip.json_text import render
from podwire.services.node.programs.ip.monitor import monitor
from podwire.services.node.runtime.programs import find_program, run

_NETLINK: Final = 2
"""ip's exit code for what the kernel refused."""
_OWN_TEXTS: Final = ("Cannot", "RTNETLINK", "Device", "Invalid netns")

type Shown = str | list[Any]
"""Text, or with -j what becomes JSON."""

_READERS: Final[dict[tuple[str, str], Callable[[Namespace, IpCall], Shown]]] = {
    ("link", "show"): links.show,
    ("address", "show"): addresses.show,
    ("route", "show"): routes.show,
    ("route", "get"): routes.get,
    ("neigh", "show"): neighbours.show,
    ("netns", "show"): namespaces.show,
    ("netns", "identify"): namespaces.identify,
    ("rule", "show"): policy.show,
    ("tunnel", "show"): tunnels.show,
}
_CHANGES: Final[dict[tuple[str, str], Callable[[Namespace, IpCall], Sequence[Any]]]] = {
    ("link", "set"): links.change,
    ("link", "add"): links.add,
    ("link", "delete"): links.delete,
    ("address", "add"): addresses.change,
    ("address", "change"): addresses.change,
    ("address", "replace"): addresses.change,
    ("address", "delete"): addresses.change,
    ("address", "flush"): addresses.flush,
    ("route", "add"): routes.change,
    ("route", "append"): routes.change,
    ("route", "change"): routes.change,
    ("route", "replace"): routes.change,
    ("route", "delete"): routes.change,
    ("route", "flush"): routes.flush,
    ("rule", "add"): policy.change,
    ("rule", "delete"): policy.change,
    ("rule", "flush"): policy.flush,
    ("neigh", "add"): neighbours.change,
    ("neigh", "change"): neighbours.change,
    ("neigh", "replace"): neighbours.change,
    ("neigh", "delete"): neighbours.change,
    ("neigh", "flush"): neighbours.flush,
    ("tunnel", "add"): tunnels.add,
    ("tunnel", "delete"): tunnels.delete,
    ("netns", "add"): namespaces.change,
    ("netns", "delete"): namespaces.change,
}


async def ip(process: Process) -> int:
    """ip [OPTION]… OBJECT COMMAND …"""
    try:
        call = read_call(process.arguments[1:])
        if call.namespace:
            process = _enter(process, call.namespace)
        if call.subject == "netns" and call.command == "exec":
            return await _exec(process, call.words)
        if call.subject == "monitor":
            return await monitor(process, call)
        await process.print(_run(process, call))
    except IpError as error:
        await process.complain(str(error))
        return error.code
    except KernelError as error:
        text = error.strerror or ""
        await process.complain(text if text.startswith(_OWN_TEXTS) or '"' in text else f"RTNETLINK answers: {text}")
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


def shown(namespace: Namespace, call: IpCall) -> str:
    """What a command that only reads prints. Raises IpError and KernelError."""
    what = _READERS[call.subject, call.command](namespace, call)
    return what if isinstance(what, str) else render(what, pretty=call.pretty)


def _run(process: Process, call: IpCall) -> str:
    with process.network.shell.turn() as kernel:
        namespace = kernel.namespace(process.network.namespace)
        is_machine = process.machine is not None
        if call.subject == "netns" and call.command in ("show", "identify") and not is_machine:
            return ""
        if (call.subject, call.command) in _READERS:
            return shown(namespace, call)
        changes = _CHANGES[call.subject, call.command](namespace, call)
        if not is_machine:
            raise KernelError(1, "Operation not permitted")
        for change in changes:
            apply_operation(kernel, change)
        return ""
