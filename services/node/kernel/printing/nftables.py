"""`nft list …` (nftables src/rule.c, src/expression.c)."""

from typing import TYPE_CHECKING, Any

from podwire.services.node.kernel.nftables.datatypes import VERDICT, Datatype, Scalar
from podwire.services.node.kernel.nftables.set_parser import format_seconds
from podwire.services.node.kernel.nftables.sets import Element, NftSet
from podwire.services.node.kernel.nftables.statements import Verdict
from podwire.services.node.kernel.nftables.tables import HOOKS, PRIORITIES, Base, NftChain, NftTable

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

_INDENT = "\t\t\t     "


def nft_ruleset(namespace: "Namespace", family: str = "", *, handles: bool = False) -> str:
    """`nft list ruleset [FAMILY]`."""
    namespace.kernel.settle()
    now = namespace.kernel.now
    tables = [table for table in namespace.nftables.tables.values() if family in ("", table.family)]
    return "".join(table_text(table, now, handles=handles) for table in tables)


def table_text(table: NftTable, now: int, *, handles: bool = False) -> str:
    """A whole table."""
    lines = [f"table {table.family} {table.name} {{" + _handle(table.handle, handles)]
    if table.comment:
        lines.append(f'\tcomment "{table.comment}"')
    if table.flags:
        lines.append(f"\tflags {','.join(table.flags)}")
    blocks = [_set_lines(each, now, handles) for each in table.sets.values()]
    blocks += [_chain_lines(chain, handles) for chain in table.chains.values()]
    for number, block in enumerate(blocks):
        lines += ([""] if number else []) + block
    return "\n".join([*lines, "}", ""])


def _handle(handle: int, shown: bool) -> str:
    return f" # handle {handle}" if shown else ""


def part_text(table: NftTable, part: NftSet | NftChain, now: int, *, handles: bool = False) -> str:
    """One set, map or chain inside its table, as `nft list set` and `nft list chain` print it."""
    lines = _set_lines(part, now, handles) if isinstance(part, NftSet) else _chain_lines(part, handles)
    return "\n".join([f"table {table.family} {table.name} {{", *lines, "}", ""])


def _chain_lines(chain: NftChain, handles: bool) -> list[str]:
    lines = [f"\tchain {chain.name} {{" + _handle(chain.handle, handles)]
    if chain.comment:
        lines.append(f'\t\tcomment "{chain.comment}"')
    if chain.base is not None:
        lines.append(f"\t\t{base_text(chain.base)}")
    for rule in chain.rules:
        comment = f' comment "{rule.comment}"' if rule.comment else ""
        lines.append(f"\t\t{rule.text()}{comment}{_handle(rule.handle, handles)}")
    return [*lines, "\t}"]


def base_text(base: Base) -> str:
    """`type nat hook prerouting priority dstnat; policy accept;`."""
    priority = priority_text(base.priority, base.hook)
    return f"type {base.kind} hook {base.hook} priority {priority}; policy {base.policy};"


def priority_text(priority: int, hook: str) -> str:
    """A priority by the nearest name that the hook has, with what is added to it."""
    for name, number in PRIORITIES.items():
        fits = {"dstnat": hook == "prerouting", "srcnat": hook == "postrouting"}.get(name, hook in HOOKS)
        if fits and abs(priority - number) <= 10:
            rest = priority - number
            return name if not rest else f"{name} {'+' if rest > 0 else '-'} {abs(rest)}"
    return str(priority)


def _set_lines(each: NftSet, now: int, handles: bool) -> list[str]:
    kind = "map" if each.data else "set"
    types = " . ".join(datatype.name for datatype in each.fields)
    types += f" : {' . '.join(datatype.name for datatype in each.data)}" if each.data else ""
    lines = [f"\t{kind} {each.name} {{" + _handle(each.handle, handles), f"\t\ttype {types}"]
    lines += [f"\t\tsize {each.size}"] if each.size else []
    lines += [f"\t\tflags {','.join(each.flags)}"] if each.flags else []
    lines += [f"\t\ttimeout {format_seconds(each.timeout)}"] if each.timeout else []
    lines += ["\t\tauto-merge"] if each.auto_merge else []
    lines += [f'\t\tcomment "{each.comment}"'] if each.comment else []
    live = each.live(now)
    if live:
        lines.append(f"\t\telements = {{ {_elements(each, live, now)} }}")
    return [*lines, "\t}"]


def _elements(each: NftSet, elements: list[Element], now: int) -> str:
    per_line = each.fields[0].per_line if len(each.fields) == 1 else 1
    texts = [_element(each, element, now) for element in _ordered(elements)]
    lines = [", ".join(texts[at : at + per_line]) for at in range(0, len(texts), per_line)]
    return f",\n{_INDENT}".join(lines)


def _ordered(elements: list[Element]) -> list[Element]:
    """nft sorts elements as numbers whose last field weighs most, and strings by their last byte."""
    return sorted(elements, key=lambda element: (element.is_default, [_weight(low) for low, _ in element.ranges[::-1]]))


def _weight(value: Scalar) -> int:
    return value if isinstance(value, int) else int.from_bytes(value.encode(), "little")


def _element(each: NftSet, element: Element, now: int) -> str:
    if element.is_default:
        words = ["*"]
    else:
        ranges = zip(each.fields, element.ranges, strict=True)
        words = [" . ".join(datatype.format_range(*bounds) for datatype, bounds in ranges)]
    timeout = element.timeout if element.timeout != each.timeout else 0
    words += [f"timeout {format_seconds(timeout)}"] if timeout else []
    words += [f"expires {format_seconds(element.expires - now)}"] if element.expires else []
    words += [f'comment "{element.comment}"'] if element.comment else []
    words += [f": {datum_text(each.data, element.data)}"] if each.data else []
    return " ".join(words)


def datum_text(data: tuple[Datatype, ...], datum: Any) -> str:
    """What a map holds beside a key."""
    if data == (VERDICT,):
        return datum.text() if isinstance(datum, Verdict) else ""
    return " . ".join(datatype.format(value) for datatype, value in zip(data, datum, strict=True))


def anonymous_text(each: NftSet) -> str:
    """The elements of a set that has no name, in braces; one that stands for a plain value without them."""
    texts = [_element(each, element, 0) for element in _ordered(each.elements)]
    if not each.flags and len(texts) == 1 and not each.data:
        return texts[0]
    return f"{{ {', '.join(texts)} }}"
