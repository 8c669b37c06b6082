"""`ip rule show` (iproute2 ip/iprule.c, print_rule)."""

from podwire.proto.packet.addresses import format_prefix
from podwire.services.node.kernel.fib import Fib, Rule
from podwire.services.node.kernel.netfilter.rule import PROTOCOL_NAMES


def ip_rule(fib: Fib) -> str:
    """All rules of one family, in order of priority."""
    return "".join(f"{rule.priority}:\t{rule_text(rule)}\n" for rule in fib.rules)


def rule_text(rule: Rule) -> str:
    """One rule without its priority."""
    words = ["not"] if rule.inverted else []
    words += ["from", _prefix(rule.source)]
    words += ["to", _prefix(rule.destination)] if rule.destination is not None else []
    words += ["tos", f"{rule.tos:#x}"] if rule.tos else []
    words += ["fwmark", _mark(rule)] if rule.mark or rule.mark_mask else []
    words += ["iif", rule.in_device] if rule.in_device else []
    words += ["ipproto", PROTOCOL_NAMES.get(rule.protocol, str(rule.protocol))] if rule.protocol else []
    words += _ports("sport", rule.source_ports) + _ports("dport", rule.destination_ports)
    if rule.action != "lookup":
        return " ".join([*words, rule.action])
    words += ["lookup", rule.table]
    if rule.suppress_prefix_length is not None:
        words += ["suppress_prefixlength", str(rule.suppress_prefix_length)]
    return " ".join(words)


def _prefix(prefix: tuple[int, int] | None) -> str:
    return "all" if prefix is None or not prefix[1] else format_prefix(*prefix)


def _mark(rule: Rule) -> str:
    return f"{rule.mark:#x}" + ("" if rule.mark_mask == 0xFFFFFFFF else f"/{rule.mark_mask:#x}")


def _ports(name: str, ports: tuple[int, int] | None) -> list[str]:
    if ports is None:
        return []
    return [name, str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"]
