"""ip monitor: what changes, as it changes (iproute2 ip/ipmonitor.c).

It looks at the kernel's state often and tells the differences, where iproute2 hears of every change: what is undone
between two looks goes untold.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.printing.links import Selection, address_blocks, link_block
from podwire.services.node.kernel.printing.routes import neighbour_line, route_line, shown_neighbours, shown_routes
from podwire.services.node.kernel.printing.rules import rule_text
from podwire.services.node.process import Process
from podwire.services.node.programs.ip.arguments import IpCall, IpError

LOOK_EVERY: Final = 0.05
"""Seconds."""
_NOT_BUILT: Final = ("file", "all-nsid", "mroute", "maddress", "netconf", "nexthop", "nsid", "prefix", "stats")
type Seen = dict[tuple[str, ...], str]
"""What there is, by what names it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Which objects, and of which device ("": all)."""

    objects: tuple[str, ...]
    device: str = ""
    has_labels: bool = False


def watched(call: IpCall) -> Watched:
    """What the words after `monitor` ask for. Raises IpError."""
    found = Watched(())
    rest = list(call.words)
    while rest:
        word = rest.pop(0)
        objects = [name for name in _READERS if name.startswith(word)]
        if word in ("all", "label"):
            found = replace(found, has_labels=True)
        elif word == "dev" and rest:
            found = replace(found, device=rest.pop(0))
        elif word in _NOT_BUILT:
            raise IpError(f"ip monitor {word}: not built", 1)
        elif not objects:
            raise IpError(f'Argument "{word}" is unknown, try "ip monitor help".', 255)
        else:
            found = replace(found, objects=(*found.objects, objects[0]))
    return replace(found, objects=found.objects or tuple(_READERS))


async def monitor(process: Process, call: IpCall) -> int:
    """ip monitor [all] [label] [link|address|route|neigh|rule]… [dev DEVICE], until it is ended. Raises IpError."""
    what = watched(call)
    before = _look(process, call, what)
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = _look(process, call, what)
        if now != before:
            await process.print("".join(told(before, now, what)))
            before = now


def _look(process: Process, call: IpCall, what: Watched) -> Seen:
    with process.network.shell.turn() as kernel:
        namespace = kernel.namespace(process.network.namespace)
        if what.device and what.device not in namespace.devices:
            raise IpError(f'Cannot find device "{what.device}"', 1)
        return seen(namespace, what, call.selection.family)


def seen(namespace: Namespace, what: Watched, family: str) -> Seen:
    """What there is of the objects that are watched."""
    return {
        (name, *key): text
        for name in what.objects
        for device, key, text in _READERS[name](namespace, family)
        if what.device in ("", device)
    }


def told(before: Seen, now: Seen, what: Watched) -> Iterator[str]:
    """The lines for what changed or came, after those for what went."""
    for key in reversed(before):
        if key not in now:
            yield f"{_label(key, what)}Deleted {before[key]}\n"
    for key, text in now.items():
        if before.get(key) != text:
            yield f"{_label(key, what)}{text}\n"


def _label(key: tuple[str, ...], what: Watched) -> str:
    return f"[{_LABELS[key[0]]}]" if what.has_labels else ""


type _Found = Iterator[tuple[str, tuple[str, ...], str]]
"""Device, key, text."""


def _links(namespace: Namespace, family: str) -> _Found:
    if not family:
        for device in namespace.devices.values():
            yield device.name, (str(device.index),), link_block(device)


def _addresses(namespace: Namespace, family: str) -> _Found:
    for device in namespace.devices.values():
        for text in address_blocks(device, Selection(family=family)):
            yield device.name, (device.name, text), text


def _routes(namespace: Namespace, family: str) -> _Found:
    for one in ("ipv4", "ipv6"):
        for route in shown_routes(namespace, "all", family=one) if family in ("", one) else ():
            text = route_line(route, show_table=True)
            yield route.device.name if route.device is not None else "", (text,), text


def _neighbours(namespace: Namespace, family: str) -> _Found:
    for entry in shown_neighbours(namespace, family=family):
        yield entry.device.name, (entry.device.name, str(entry.address)), neighbour_line(entry, show_device=True)


def _rules(namespace: Namespace, family: str) -> _Found:
    for fib in (namespace.fib, namespace.fib6):
        for rule in fib.rules if family in ("", "ipv6" if fib is namespace.fib6 else "ipv4") else ():
            text = f"{rule.priority}:\t{rule_text(rule)}"
            yield "", (str(fib.base), text), text


_READERS: Final[dict[str, Callable[[Namespace, str], _Found]]] = {
    "link": _links,
    "address": _addresses,
    "route": _routes,
    "neigh": _neighbours,
    "rule": _rules,
}
_LABELS: Final = {"link": "LINK", "address": "ADDR", "route": "ROUTE", "neigh": "NEIGH", "rule": "RULE"}
