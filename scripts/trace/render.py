"""A flight as a tree for people."""

import sys
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.advice import advice
from podwire.scripts.trace.deciding import deciding
from podwire.scripts.trace.flights import Flight

_WIDE: Final = 500
"""Columns where nobody's window says how many there are."""


def for_people() -> Console:
    """Standard output; what is piped is not wrapped."""
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)


def tree(flight: Flight, title: str, every_rule: bool = False) -> Tree:
    """One branch for each machine and namespace that the packet crosses."""
    root = Tree(f"[bold]{escape(title)}[/]  {escape(flight.summary)}")
    began = flight.hops[0].time
    place, branch = ("", ""), root
    for hop in flight.hops if every_rule else deciding(flight.hops):
        if (hop.node, hop.netns) != place:
            if place[0] not in ("", hop.node):
                root.add(f"[yellow]wire[/] {escape(place[0])} -> {escape(hop.node)}")
            place = (hop.node, hop.netns)
            where = f"pod {hop.netns}" if hop.netns else "host"
            branch = root.add(
                f"[cyan]{escape(hop.node)}[/] {escape(where)}  [dim]+{(hop.time - began) / 1000:.0f} µs[/]"
            )
        for line in _lines(hop):
            branch.add(line)
    return root


def _lines(hop: Hop) -> Iterator[str]:
    head = f"[green]{_kind(hop):<12}[/] "
    match hop.kind:
        case "rule":
            yield (
                head
                + escape(f"{hop.table:<6} {hop.rule_text}")
                + f"  [dim]rule {hop.rule}, {hop.rules_passed} passed[/]"
            )
        case "policy":
            yield head + escape(f"{hop.table:<6} {hop.chain} {hop.verdict}") + f"  [dim]{hop.rules_passed} passed[/]"
        case "nat":
            yield head + escape(f"{hop.verdict} {hop.before} -> {hop.after}")
        case "encapsulate":
            outer = f"{hop.outer_source} -> {hop.outer_destination} vni {hop.vni}, +{hop.bytes_added} bytes"
            yield head + escape(f"{hop.device}: {outer}")
        case "decapsulate":
            yield head + escape(f"{hop.device}: vni {hop.vni} {hop.detail}".rstrip())
        case "drop":
            yield f"[red]{'drop':<12}[/] " + escape(f"{hop.reason} {hop.device} {hop.rule_text or hop.detail}".rstrip())
            yield f"[red]{'why':<12}[/] " + escape(advice(hop))
        case _:
            yield head + escape(" ".join(part for part in (hop.device, hop.detail) if part))


def _kind(hop: Hop) -> str:
    names = {"device-transmit": "transmit", "device-receive": "receive", "rule": hop.hook.lower(), "policy": "policy"}
    return names.get(hop.kind, hop.kind)
