"""The operations that make a pod's network namespace what it should be, whatever it is.

Source: chaos-mesh `pkg/chaosdaemon/{ipset,iptables,tc}_server.go`: chains CHAOS-INPUT and CHAOS-OUTPUT, one chain a
partition, TC-TABLES-n for what goes into a class, disciplines without a filter in a row before the classes.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from podwire.proto.messages.kernel import IpsetRestore, IptablesRestore, Operation, Qdisc, QdiscsReplace
from podwire.services.chaos.core.network import AddressSet, Control, Partition, PodNetwork

type Family = Literal["ipv4", "ipv6"]

DEVICE: Final = "eth0"
FAMILIES: Final[tuple[Family, ...]] = ("ipv4", "ipv6")
_MAIN: Final = {"INPUT": "CHAOS-INPUT", "OUTPUT": "CHAOS-OUTPUT"}
_OURS: Final = re.compile(r"(?m)^:((?:INPUT|OUTPUT)/\S+|TC-TABLES-\d+|CHAOS-(?:INPUT|OUTPUT)) ")
_SETS: Final = re.compile(r"(?m)^create (\S+_(?:tgt|src)[46]?) ")
_FIRST_CLASS: Final = 4


def operations(netns: str, network: PodNetwork, rules: dict[Family, str], sets: str) -> list[Operation]:
    """The steps of one turn; `rules` and `sets` are what iptables-save and ipset save print now."""
    steps: list[Operation] = []
    for family in FAMILIES:
        if text := _without(rules[family]):
            steps.append(IptablesRestore(netns=netns, text=text, family=family, noflush=True))
    if old := _SETS.findall(sets):
        steps.append(IpsetRestore(netns=netns, text="".join(f"destroy {name}\n" for name in old)))
    if made := "".join(_created(each) for each in network.sets):
        steps.append(IpsetRestore(netns=netns, text=made))
    tree, classes = _tree(network.controls)
    for family in FAMILIES:
        steps += _rules(netns, family, network.partitions, classes)
    return [*steps, QdiscsReplace(netns=netns, device=DEVICE, qdiscs=tuple(tree))]


def _without(saved: str) -> str:
    """A text that takes away every chain of ours."""
    chains = _OURS.findall(saved)
    if not chains:
        return ""
    jumps = [f"-D {hook} -j {main}" for hook, main in _MAIN.items() if f"-A {hook} -j {main}\n" in _plain(saved)]
    ended = [f"-X {chain}" for chain in sorted(chains, key=lambda chain: chain in _MAIN.values(), reverse=True)]
    return "\n".join(["*filter", *(f":{chain} - [0:0]" for chain in chains), *jumps, *ended, "COMMIT", ""])


def _plain(saved: str) -> str:
    """The rules without their counters."""
    return re.sub(r"(?m)^\[\d+:\d+\] ", "", saved)


def _created(each: AddressSet) -> str:
    """One set for each family, since a set has one."""
    text = ""
    for digit, family in (("4", "inet"), ("6", "inet6")):
        members = [network for network in each.networks if (":" in network) == (digit == "6")]
        text += f"create {each.name}{digit} hash:net family {family}\n"
        text += "".join(f"add {each.name}{digit} {network}\n" for network in members)
    return text


def _rules(
    netns: str, family: Family, partitions: Sequence[Partition], classes: Sequence[tuple[str, str, str]]
) -> list[Operation]:
    digit = "4" if family == "ipv4" else "6"
    if not partitions and not classes:
        return []
    main = ["*filter", *(f":{name} - [0:0]" for name in _MAIN.values())]
    main += [*(f"-A {hook} -j {name}" for hook, name in _MAIN.items()), "COMMIT", ""]
    steps: list[Operation] = [IptablesRestore(netns=netns, text="\n".join(main), family=family, noflush=True)]
    for each in partitions:
        way, device = ("dst", "-o") if each.hook == "OUTPUT" else ("src", "-i")
        match = f"-m set --match-set {each.addresses}{digit} {way} " if each.addresses else ""
        rule = f"-A {each.chain} {device} {DEVICE} {match}-j DROP"
        steps.append(_chain(netns, family, each.chain, each.hook, rule, each.owner))
    for index, (addresses, place, owner) in enumerate(classes):
        chain = f"TC-TABLES-{index}"
        rule = f"-A {chain} -o {DEVICE} -m set --match-set {addresses}{digit} dst -j CLASSIFY --set-class {place}"
        steps.append(_chain(netns, family, chain, "OUTPUT", rule, owner))
    return steps


def _chain(netns: str, family: Family, chain: str, hook: str, rule: str, owner: str) -> IptablesRestore:
    lines = ["*filter", f":{chain} - [0:0]", rule, f"-A {_MAIN[hook]} -j {chain}", "COMMIT", ""]
    return IptablesRestore(netns=netns, text="\n".join(lines), family=family, noflush=True, owner=owner)


def _tree(controls: Sequence[Control]) -> tuple[list[Qdisc], list[tuple[str, str, str]]]:
    """The disciplines, and for each class its addresses, name and owner (SetTcs, setGlobalTcs, setFilterTcs)."""
    everybody = [control for control in controls if not control.addresses]
    tree = [
        _placed(control.qdisc, f"{index + 1:x}:", f"{index:x}:" if index else "root")
        for index, control in enumerate(everybody)
    ]
    chosen: dict[str, list[Control]] = {}
    for control in controls:
        if control.addresses:
            chosen.setdefault(control.addresses, []).append(control)
    if not chosen:
        return tree, []
    major = len(tree) + 1
    above = f"{len(tree):x}:" if tree else "root"
    tree.append(Qdisc(kind="prio", handle=f"{major:x}:", parent=above, bands=_FIRST_CLASS - 1 + len(chosen)))
    tree += [Qdisc(kind="sfq", handle=f"{major + band:x}:", parent=f"{major:x}:{band}") for band in (1, 2, 3)]
    return _with_classes(tree, chosen, major)


def _with_classes(
    tree: list[Qdisc], chosen: dict[str, list[Control]], major: int
) -> tuple[list[Qdisc], list[tuple[str, str, str]]]:
    handle, classes = major + 3, []
    for index, (addresses, controls) in enumerate(chosen.items()):
        place = f"{major:x}:{_FIRST_CLASS + index:x}"
        parent = place
        for control in controls:
            handle += 1
            tree.append(_placed(control.qdisc, f"{handle:x}:", parent))
            parent = f"{handle:x}:"
        classes.append((addresses, place, controls[0].qdisc.owner))
    return tree, classes


def _placed(qdisc: Qdisc, handle: str, parent: str) -> Qdisc:
    return msgspec.structs.replace(qdisc, handle=handle, parent=parent)
