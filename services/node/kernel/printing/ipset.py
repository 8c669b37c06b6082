"""The texts of ipset list and save (lib/print.c), members in the order of the kernel's hash table."""

import struct
from typing import Final

from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.netfilter.ipset.commands import references
from podwire.services.node.kernel.netfilter.ipset.elements import Element, bits_of, format_element, kernel_bytes
from podwire.services.node.kernel.netfilter.ipset.sets import SECOND, Entry, IpSet

_MASK: Final = 0xFFFFFFFF
_BUCKET: Final = 32
_REGION: Final = 24
_SLOTS: Final = 2
"""How many elements a bucket grows by."""


def ipset_save(namespace: Namespace, name: str = "", *, ordered: bool = False) -> str:
    """`ipset save [NAME]`."""
    return "".join(_save(namespace, each, ordered) for each in _chosen(namespace, name))


def ipset_list(namespace: Namespace, name: str = "", *, terse: bool = False, ordered: bool = False) -> str:
    """`ipset list [NAME]`, without members if `terse`."""
    return "\n".join(_list(namespace, each, terse, ordered) for each in _chosen(namespace, name))


def ipset_names(namespace: Namespace, name: str = "") -> str:
    """`ipset list -name`."""
    return "".join(f"{each.name}\n" for each in _chosen(namespace, name))


def _chosen(namespace: Namespace, name: str) -> list[IpSet]:
    """Lists of sets come last, since they name others."""
    sets = namespace.netfilter.sets
    if name:
        return [sets[name]]
    return sorted(sets.values(), key=lambda each: each.kind.name == "list:set")


def _header(each: IpSet) -> str:
    words: list[str] = []
    if each.kind.name == "list:set":
        words += ["size", str(each.size)]
    elif each.kind.name == "bitmap:port":
        words += ["range", f"{each.range[0]}-{each.range[1]}"]
    else:
        words += ["family", each.family, "hashsize", str(each.hashsize), "maxelem", str(each.maxelem)]
        words += ["netmask", str(each.netmask)] if each.netmask < bits_of(each.family) else []
    words += ["timeout", str(each.timeout)] if each.timeout is not None else []
    words += ["counters"] * each.counters + ["comment"] * each.comment
    if each.kind.name.startswith("hash:"):
        words += ["bucketsize", str(each.bucketsize), "initval", f"0x{each.initval:08x}"]
    return " ".join(words)


def _members(namespace: Namespace, each: IpSet, ordered: bool) -> list[str]:
    now = namespace.kernel.now
    if each.kind.name == "list:set":
        return [name + _extensions(each, entry, now) for name, entry in each.live_members(now).items()]
    live = each.live(now)
    elements = list(live)
    if each.kind.name == "bitmap:port" or ordered:
        elements.sort()
    else:
        elements.sort(key=lambda element: _bucket(each, element))
    return [format_element(each.kind, each.family, one) + _extensions(each, live[one], now) for one in elements]


def _extensions(each: IpSet, entry: Entry, now: int) -> str:
    text = ""
    if each.timeout is not None:
        left = 0 if entry.expires is None else max((entry.expires - now) // SECOND, 1)
        text += f" timeout {left}"
    text += " nomatch" if entry.nomatch else ""
    if each.counters:
        text += f" packets {entry.counter.packets} bytes {entry.counter.bytes}"
    return text + (f' comment "{entry.comment}"' if entry.comment else "")


def _save(namespace: Namespace, each: IpSet, ordered: bool) -> str:
    lines = [f"create {each.name} {each.kind.name} {_header(each)}"]
    lines += [f"add {each.name} {member}" for member in _members(namespace, each, ordered)]
    return "".join(f"{line}\n" for line in lines)


def _list(namespace: Namespace, each: IpSet, terse: bool, ordered: bool) -> str:
    members = _members(namespace, each, ordered)
    lines = [
        f"Name: {each.name}",
        f"Type: {each.kind.name}",
        f"Revision: {each.kind.revision}",
        f"Header: {_header(each)}",
        f"Size in memory: {_memory(each)}",
        f"References: {references(namespace, each.name)}",
        f"Number of entries: {len(members)}",
    ]
    lines += [] if terse else ["Members:", *members]
    return "".join(f"{line}\n" for line in lines)


def _memory(each: IpSet) -> int:
    """Bytes as the kernel counts them (mtype_memsize, bitmap's and list's alike)."""
    extra = 8 * (each.timeout is not None) + 16 * each.counters + 8 * each.comment
    entries = [*each.entries.values(), *each.members.values()]
    comments = sum(17 + len(entry.comment.encode()) for entry in entries if entry.comment)
    if each.kind.name == "list:set":
        return 80 + (48 + extra) * len(each.members) + comments
    if each.kind.name == "bitmap:port":
        ports = each.range[1] - each.range[0] + 1
        return 72 + -(-ports // 64) * 8 + ports * extra + comments
    size = each.kind.octets[each.family == "inet6"]
    size = -(-size // 8) * 8 + extra if extra else size
    filled: dict[int, int] = {}
    for element in each.entries:
        bucket = _bucket(each, element)
        filled[bucket] = filled.get(bucket, 0) + 1
    buckets = sum(_BUCKET + -(-count // _SLOTS) * _SLOTS * size for count in filled.values())
    return each.kind.base[each.family == "inet6"] + _REGION * max(each.hashsize >> 10, 1) + buckets + comments


def _bucket(each: IpSet, element: Element) -> int:
    return _jhash(kernel_bytes(each.kind, each.family, element), each.initval) & (each.hashsize - 1)


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _MASK


def _jhash(octets: bytes, initval: int) -> int:
    """Bob Jenkins' hash over 32-bit words (include/linux/jhash.h, jhash2)."""
    words: list[int] = list(struct.unpack(f"<{len(octets) // 4}I", octets))
    a = b = c = (0xDEADBEEF + len(octets) + initval) & _MASK
    while len(words) > 3:
        a, b, c = (a + words[0]) & _MASK, (b + words[1]) & _MASK, (c + words[2]) & _MASK
        a = (a - c) & _MASK ^ _rotated(c, 4)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotated(a, 6)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotated(b, 8)
        b = (b + a) & _MASK
        a = (a - c) & _MASK ^ _rotated(c, 16)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotated(a, 19)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotated(b, 4)
        b = (b + a) & _MASK
        words = words[3:]
    if not words:
        return c
    words += [0] * (3 - len(words))
    a, b, c = (a + words[0]) & _MASK, (b + words[1]) & _MASK, (c + words[2]) & _MASK
    for left, right, by in (("c", "b", 14), ("a", "c", 11), ("b", "a", 25), ("c", "b", 16), ("a", "c", 4)):
        values: dict[str, int] = {"a": a, "b": b, "c": c}
        values[left] = ((values[left] ^ values[right]) - _rotated(values[right], by)) & _MASK
        a, b, c = values["a"], values["b"], values["c"]
    b = ((b ^ a) - _rotated(a, 14)) & _MASK
    return ((c ^ b) - _rotated(b, 24)) & _MASK
