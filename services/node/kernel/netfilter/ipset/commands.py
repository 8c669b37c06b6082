"""The commands on the sets of a namespace, as words (lib/ipset.c, ip_set_core.c), and whole texts of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.ipset.elements import Element, bits_of, parse_elements, parse_number
from podwire.services.node.kernel.netfilter.ipset.kinds import IpsetError, Kind, find_kind
from podwire.services.node.kernel.netfilter.ipset.sets import SECOND, Entry, IpSet
from podwire.services.node.kernel.netfilter.words import split

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

ALIASES: Final = {
    "-N": "create",
    "n": "create",
    "-A": "add",
    "-D": "del",
    "-T": "test",
    "-X": "destroy",
    "x": "destroy",
    "-F": "flush",
    "-E": "rename",
    "e": "rename",
    "-W": "swap",
    "w": "swap",
    "-L": "list",
    "-S": "save",
    "-R": "restore",
    "-h": "help",
    "-H": "help",
    "-v": "version",
    "-V": "version",
}
_OPERANDS: Final = {"create": 2, "add": 2, "del": 2, "test": 2, "swap": 2, "rename": 2, "destroy": 0, "flush": 0}
_FLAGS: Final = ("counters", "comment", "nomatch")
_UNBUILT: Final = ("skbinfo", "forceadd", "skbmark", "skbprio", "skbqueue", "bitmask", "markmask")
_NO_SUCH: Final = "The set with the given name does not exist"
_LONGEST_TIMEOUT: Final = 2147483
LONGEST_NAME: Final = 31


def run(namespace: "Namespace", words: Sequence[str], *, exist: bool = False) -> str:
    """One command that changes sets or asks one; what `test` says of an element that is there, else "".

    IpsetError in the tool's words, also for `test` of an element that is not there.
    """
    rest = [word for word in words if word not in ("-exist", "-!", "--exist")]
    exist = exist or len(rest) < len(words)
    if not rest:
        raise IpsetError("No command specified.", usage=True)
    command = ALIASES.get(rest[0], rest[0])
    handler = _COMMANDS.get(command)
    if handler is None:
        raise IpsetError(f"No command specified: unknown argument {rest[0]}", usage=True)
    operands = rest[1:]
    for which in range(_OPERANDS[command]):
        if len(operands) <= which:
            nth = "Missing mandatory" if which == 0 else "Missing second mandatory"
            raise IpsetError(f"{nth} argument to command {command}", usage=True)
    namespace.kernel.settle()
    said = handler(namespace, operands, exist)
    if command != "test":
        namespace.kernel.changed()
    return said


def restore(namespace: "Namespace", text: str, *, exist: bool = False) -> None:
    """`ipset restore`: line by line; the first that fails ends it and is named, what was done before stays."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line.strip() == "COMMIT":
            continue
        try:
            run(namespace, split(line), exist=exist)
        except IpsetError as error:
            message = error.message if error.usage else f"Error in line {number}: {error.message}"
            failure = IpsetError(message, usage=error.usage)
            failure.line = number
            raise failure from None
        except NetfilterError as error:
            raise IpsetError(f"Error in line {number}: Syntax error: {error.message}") from None


def _set(namespace: "Namespace", name: str) -> IpSet:
    found = namespace.netfilter.sets.get(name)
    if found is None:
        raise IpsetError(_NO_SUCH)
    return found


def check_name(name: str) -> None:
    """Refuse a name that is too long."""
    if len(name) > LONGEST_NAME:
        raise IpsetError(f"Syntax error: setname '{name}' is longer than {LONGEST_NAME} characters")


def _options(words: Sequence[str], known: Sequence[str], kind: Kind) -> dict[str, str]:
    """Option words with their values; IpsetError for one that the type does not know."""
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _UNBUILT:
            raise IpsetError(f"Syntax error: option `{word}' is not built in podwire")
        if word not in known:
            raise IpsetError(f"Unknown argument: `{word}'", usage=True)
        flag = word in _FLAGS and not (word == "comment" and "packets" in known)
        if not flag and not rest:
            raise IpsetError(f"Missing mandatory argument of option `{word}'", usage=True)
        given[word] = "" if flag else rest.pop(0)
    return given


# -- create, destroy


def _create(namespace: "Namespace", words: list[str], exist: bool) -> str:
    name, sets = words[0], namespace.netfilter.sets
    check_name(name)
    kind = find_kind(words[1])
    options = _options(words[2:], kind.options, kind)
    if "range" in kind.options and "range" not in options:
        raise IpsetError("Mandatory option `range' is missing", usage=True)
    made = _made(namespace, name, kind, options)
    if name in sets:
        if not exist or not _alike(sets[name], made):
            raise IpsetError("Set cannot be created: set with the same name already exists")
        return ""
    sets[name] = made
    return ""


def _made(namespace: "Namespace", name: str, kind: Kind, options: dict[str, str]) -> IpSet:
    family = options.get("family", "inet")
    if family in ("-4", "ipv4", "-6", "ipv6"):
        family = "inet" if family in ("-4", "ipv4") else "inet6"
    if family not in ("inet", "inet6"):
        raise IpsetError(f"Syntax error: unknown INET family {family}")
    made = IpSet(name, kind, family)
    made.counters, made.comment = "counters" in options, "comment" in options
    if "timeout" in options:
        made.timeout = parse_number(options["timeout"], 0, _LONGEST_TIMEOUT)
    if "range" in options:
        made.range = _port_range(options["range"])
    made.size = max(parse_number(options.get("size", "8"), 0, 0xFFFFFFFF), 4)
    made.maxelem = parse_number(options.get("maxelem", "65536"), 0, 0xFFFFFFFF)
    made.hashsize = _power_of_two(parse_number(options.get("hashsize", "1024"), 0, 0xFFFFFFFF))
    made.bucketsize = min(max(parse_number(options.get("bucketsize", "12"), 0, 255) & ~1, 2), 14)
    made.netmask = parse_number(options.get("netmask", str(bits_of(family))), 1, bits_of(family))
    given = options.get("initval")
    made.initval = namespace.kernel.random.getrandbits(32) if given is None else parse_number(given, 0, 0xFFFFFFFF)
    return made


def _port_range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not dash:
        raise IpsetError(f"Syntax error: missing separator '-' in range {text}")
    ends = parse_number(low, 0, 65535), parse_number(high, 0, 65535)
    return min(ends), max(ends)


def _power_of_two(wanted: int) -> int:
    bits: int = (min(max(wanted, 64), 1 << 30) - 1).bit_length()
    return 1 << bits


def _alike(one: IpSet, other: IpSet) -> bool:
    """Whether a set is what a `create -exist` asks for (mtype_same_set)."""
    return (one.kind, one.family, one.maxelem, one.timeout, one.netmask, one.range) == (
        *(other.kind, other.family, other.maxelem, other.timeout, other.netmask, other.range),
    )


def references(namespace: "Namespace", name: str) -> int:
    """How many rules and lists refer to a set."""
    rules: int = sum(
        bool(getattr(match, "set", None) == name)
        for netfilter in (namespace.netfilter, namespace.netfilter6)
        for table in netfilter.tables.values()
        for chain in table.chains.values()
        for rule in chain.rules
        for match in rule.matches
    )
    return rules + sum(name in each.members for each in namespace.netfilter.sets.values())


def _destroy(namespace: "Namespace", words: list[str], exist: bool) -> str:
    sets = namespace.netfilter.sets
    names = words[:1] or list(sets)
    if words and words[0] not in sets:
        if exist:
            return ""
        raise IpsetError(_NO_SUCH)
    if any(references(namespace, name) for name in names):
        raise IpsetError("Set cannot be destroyed: it is in use by a kernel component")
    for name in names:
        del sets[name]
    return ""


def _flush(namespace: "Namespace", words: list[str], exist: bool) -> str:
    names = words[:1] or list(namespace.netfilter.sets)
    for name in names:
        _set(namespace, name).emptied()
    return ""


def _rename(namespace: "Namespace", words: list[str], exist: bool) -> str:
    sets, (old, new) = namespace.netfilter.sets, words[:2]
    check_name(new)
    _set(namespace, old)
    if references(namespace, old):
        raise IpsetError("Set cannot be renamed: it is in use by another system")
    if new in sets:
        raise IpsetError("Set cannot be renamed: a set with the new name already exists")
    renamed = {(new if name == old else name): each for name, each in sets.items()}
    renamed[new].name = new
    namespace.netfilter.sets = namespace.netfilter6.sets = renamed
    return ""


def _swap(namespace: "Namespace", words: list[str], exist: bool) -> str:
    sets, (one, other) = namespace.netfilter.sets, words[:2]
    first = _set(namespace, one)
    second = sets.get(other)
    if second is None:
        raise IpsetError("Sets cannot be swapped: the second set does not exist")
    if (first.kind, first.family) != (second.kind, second.family):
        raise IpsetError("The sets cannot be swapped: their type does not match")
    sets[one], sets[other] = second, first
    first.name, second.name = other, one
    return ""


# -- elements


def _element_options(of: IpSet, words: Sequence[str], command: str) -> dict[str, str]:
    known = ["timeout", "packets", "bytes", "comment"] if command == "add" else []
    known += ["nomatch"] if of.kind.takes_nomatch else []
    known += ["before", "after"] if of.kind.name == "list:set" else []
    return _options(words, [*known, "packets"] if command == "add" else known, of.kind)


def _entry(of: IpSet, options: dict[str, str], now: int) -> Entry:
    for option, supported, what in (
        ("timeout", of.timeout is not None, "Timeout"),
        ("packets", of.counters, "Packet/byte counters"),
        ("bytes", of.counters, "Packet/byte counters"),
        ("comment", of.comment, "Comment"),
    ):
        if option in options and not supported:
            kind = {"Timeout": "timeout", "Comment": "comment"}.get(what, "counter")
            raise IpsetError(f"{what} cannot be used: set was created without {kind} support")
    if '"' in options.get("comment", ""):
        raise IpsetError('Syntax error: " character is not permitted in comments')
    seconds = of.timeout or 0
    if "timeout" in options:
        seconds = parse_number(options["timeout"], 0, _LONGEST_TIMEOUT)
    expires = now + seconds * SECOND if of.timeout is not None and seconds else None
    entry = Entry(expires, options.get("comment", "")[:255], nomatch="nomatch" in options)
    largest = (1 << 64) - 1
    entry.counter.set(
        parse_number(options.get("packets", "0"), 0, largest), parse_number(options.get("bytes", "0"), 0, largest)
    )
    return entry


def _add(namespace: "Namespace", words: list[str], exist: bool) -> str:
    of, now = _set(namespace, words[0]), namespace.kernel.now
    options = _element_options(of, words[2:], "add")
    if of.kind.name == "list:set":
        return _add_member(namespace, of, words[1], options, exist)
    elements = [of.normalized(element) for element in parse_elements(of.kind, of.family, words[1])]
    for element in elements:
        known = of.entries.get(element)
        if known is not None and known.lives(now) and not exist:
            raise IpsetError("Element cannot be added to the set: it's already added")
        of.put(element, _entry(of, options, now), now)
    return ""


def _delete(namespace: "Namespace", words: list[str], exist: bool) -> str:
    of, now = _set(namespace, words[0]), namespace.kernel.now
    options = _element_options(of, words[2:], "del")
    if of.kind.name == "list:set":
        return _delete_member(namespace, of, words[1], options, exist)
    for element in [of.normalized(each) for each in parse_elements(of.kind, of.family, words[1])]:
        entry = of.entries.get(element)
        lived = entry is not None and entry.lives(now)
        if not (of.remove(element) and lived) and not exist:
            raise IpsetError("Element cannot be deleted from the set: it's not added")
    return ""


def _test(namespace: "Namespace", words: list[str], exist: bool) -> str:
    of, now = _set(namespace, words[0]), namespace.kernel.now
    options = _element_options(of, words[2:], "test")
    if of.kind.name == "list:set":
        _known(namespace, words[1])
        entry: Entry | None = of.live_members(now).get(words[1])
    else:
        element = of.normalized(next(parse_elements(of.kind, of.family, words[1])))
        entry = of.find(element, now) if _whole(of, element) else of.live(now).get(element)
    if entry is None or entry.nomatch != ("nomatch" in options):
        raise IpsetError(f"{words[1]} is NOT in set {words[0]}.")
    return f"Warning: {words[1]} is in set {words[0]}."


def _whole(of: IpSet, element: Element) -> bool:
    return all(
        pair[1] == bits_of(of.family) for part, pair in zip(of.kind.parts, element, strict=True) if part == "net"
    )


# -- lists of sets


def _known(namespace: "Namespace", name: str) -> IpSet:
    found = namespace.netfilter.sets.get(name)
    if found is None:
        raise IpsetError("Set to be added/deleted/tested as element does not exist.")
    return found


def _place(namespace: "Namespace", options: dict[str, str]) -> tuple[str, str] | None:
    where = next(((word, options[word]) for word in ("before", "after") if word in options), None)
    if where is not None:
        _known(namespace, where[1])
    return where


def _add_member(namespace: "Namespace", of: IpSet, name: str, options: dict[str, str], exist: bool) -> str:
    now = namespace.kernel.now
    if _known(namespace, name).kind.name == "list:set":
        raise IpsetError("Sets with list:set type cannot be added to the set.")
    where = _place(namespace, options)
    members = of.live_members(now)
    if name in members and not exist:
        raise IpsetError("Element cannot be added to the set: it's already added")
    if where is not None and where[1] not in members:
        raise IpsetError("Set to which element is added, does not exist in the set: the reference set is missing")
    if name not in members and len(members) >= of.size:
        raise IpsetError("Set is full, more elements cannot be added.")
    entry, order = _entry(of, options, now), [each for each in members if each != name or where is None]
    if name not in order:
        at = len(order) if where is None else order.index(where[1]) + (where[0] == "after")
        order.insert(at, name)
    of.members = {each: entry if each == name else members[each] for each in order}
    return ""


def _delete_member(namespace: "Namespace", of: IpSet, name: str, options: dict[str, str], exist: bool) -> str:
    _known(namespace, name)
    _place(namespace, options)
    if of.live_members(namespace.kernel.now).pop(name, None) is None and not exist:
        raise IpsetError("Element cannot be deleted from the set: it's not added")
    return ""


_COMMANDS: Final[dict[str, Callable[["Namespace", list[str], bool], str]]] = {
    "create": _create,
    "add": _add,
    "del": _delete,
    "test": _test,
    "destroy": _destroy,
    "flush": _flush,
    "rename": _rename,
    "swap": _swap,
}
