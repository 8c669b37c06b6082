"""ip rule (iproute2 ip/iprule.c)."""

from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.fib import Fib
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.printing.route_objects import rule_objects
from podwire.services.node.kernel.printing.rules import ip_rule
from podwire.services.node.programs.ip.arguments import IpCall, IpError
from podwire.services.node.programs.ip.rules import read_rule

_LOCAL_PRIORITY: Final = 0


def _fib(namespace: Namespace, call: IpCall) -> Fib:
    return namespace.fib6 if call.family == "ipv6" else namespace.fib


def show(namespace: Namespace, call: IpCall) -> str | list[Any]:
    """ip rule show"""
    if call.words:
        raise IpError(f"ip rule show {' '.join(call.words)}: not built", 1)
    fib = _fib(namespace, call)
    return rule_objects(fib) if call.json else ip_rule(fib)


def change(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip rule add|delete SELECTOR ACTION"""
    make = operations.RuleAdd if call.command == "add" else operations.RuleDelete
    return [make(netns=namespace.name, **read_rule(call.words, call.family))]


def flush(namespace: Namespace, call: IpCall) -> list[Any]:
    """ip rule flush: all but the first, of the table local."""
    rules = [rule for rule in _fib(namespace, call).rules if rule.priority != _LOCAL_PRIORITY]
    return [operations.RuleDelete(netns=namespace.name, family=call.family, priority=rule.priority) for rule in rules]
