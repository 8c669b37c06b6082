"""The words of `ip rule add` and `ip rule delete` (iproute2 ip/iprule.c, iprule_modify). Pure."""

from collections.abc import Sequence
from typing import Any, Final

from podwire.services.node.kernel.netfilter.rule import PROTOCOLS
from podwire.services.node.programs.ip.arguments import IpError, pairs

_KEYS: Final = (
    "from",
    "to",
    "iif",
    "dev",
    "fwmark",
    "tos",
    "dsfield",
    "ipproto",
    "sport",
    "dport",
    "lookup",
    "table",
    "priority",
    "preference",
    "pref",
    "prio",
    "order",
    "suppress_prefixlength",
    "suppress_prefixlen",
)
_NO_WAY: Final = ("blackhole", "unreachable", "prohibit")


def read_rule(words: Sequence[str], family: str) -> dict[str, Any]:
    """The fields of a RuleAdd or RuleDelete. Raises IpError."""
    found, others = pairs(words, _KEYS, ("not", *_NO_WAY))
    if others:
        raise IpError(f'Error: argument "{others[0]}" is wrong: Failed to parse rule type', 255)
    mark, mask = _mark(found["fwmark"]) if "fwmark" in found else (0, None)
    return {
        "family": "ipv6" if ":" in found.get("from", "") + found.get("to", "") else family,
        "priority": _number(found, ("priority", "preference", "pref", "prio", "order")),
        "table": found.get("lookup", found.get("table", "")),
        "action": next((kind for kind in _NO_WAY if kind in found), "lookup"),
        "inverted": "not" in found,
        "source": _prefix(found.get("from", "")),
        "destination": _prefix(found.get("to", "")),
        "in_device": found.get("iif", found.get("dev", "")),
        "mark": mark,
        "mark_mask": mask,
        "tos": _number(found, ("tos", "dsfield")) or 0,
        "protocol": _protocol(found["ipproto"]) if "ipproto" in found else 0,
        "source_ports": _ports(found["sport"]) if "sport" in found else None,
        "destination_ports": _ports(found["dport"]) if "dport" in found else None,
        "suppress_prefix_length": _number(found, ("suppress_prefixlength", "suppress_prefixlen")),
    }


def _prefix(text: str) -> str:
    return "" if text in ("all", "any", "default") else text


def _parse(text: str, what: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise IpError(f'Error: argument "{text}" is wrong: {what} value is invalid', 255)
    return number


def _number(found: dict[str, str], names: Sequence[str]) -> int | None:
    name = next((name for name in names if name in found), None)
    return None if name is None else _parse(found[name], names[0])


def _mark(text: str) -> tuple[int, int]:
    mark, slash, mask = text.partition("/")
    return _parse(mark, "fwmark"), _parse(mask, "fwmask") if slash else 0xFFFFFFFF


def _protocol(text: str) -> int:
    return PROTOCOLS[text] if text in PROTOCOLS else _parse(text, "ipproto")


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    first = _parse(low, "sport")
    return first, _parse(high, "sport") if dash else first
