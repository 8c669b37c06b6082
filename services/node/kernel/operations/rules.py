"""Policy rules (rtnetlink RTM_NEWRULE, RTM_DELRULE; Linux net/core/fib_rules.c)."""

import errno

from podwire.proto.messages import kernel as messages
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Fib, Rule
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.operations import text


def add(kernel: Kernel, operation: messages.RuleAdd) -> None:
    """EEXIST for a rule that is there already, EINVAL for one that makes no sense."""
    fib = _fib(kernel, operation)
    priority = operation.priority if operation.priority is not None else _free_priority(fib)
    rule = _build(operation, priority)
    if rule in fib.rules:
        raise KernelError(errno.EEXIST)
    fib.add_rule(rule)
    kernel.changed()


def _fib(kernel: Kernel, operation: messages.RuleAdd | messages.RuleDelete) -> Fib:
    namespace = kernel.namespace(operation.netns)
    return namespace.fib6 if operation.family == "ipv6" else namespace.fib


def _free_priority(fib: Fib) -> int:
    """One before the second rule (fib_default_rule_pref)."""
    return max(fib.rules[1].priority - 1, 0) if len(fib.rules) > 1 else 0


def _build(operation: messages.RuleAdd | messages.RuleDelete, priority: int) -> Rule:
    return Rule(
        priority=priority,
        table=operation.table if operation.action == "lookup" else "",
        action=operation.action,
        inverted=operation.inverted,
        source=text.prefix(operation.source) if operation.source else None,
        destination=text.prefix(operation.destination) if operation.destination else None,
        in_device=operation.in_device,
        mark=operation.mark,
        mark_mask=operation.mark_mask if operation.mark_mask is not None else (0xFFFFFFFF if operation.mark else 0),
        tos=operation.tos,
        protocol=operation.protocol,
        source_ports=operation.source_ports,
        destination_ports=operation.destination_ports,
        suppress_prefix_length=operation.suppress_prefix_length,
    )


def delete(kernel: Kernel, operation: messages.RuleDelete) -> None:
    """The first rule that has everything that is given; ENOENT if none does."""
    fib = _fib(kernel, operation)
    given = _build(operation, operation.priority if operation.priority is not None else -1)
    for rule in fib.rules:
        if all(wanted in (empty, getattr(rule, name)) for name, wanted, empty in _parts(given)):
            fib.remove_rule(rule)
            kernel.changed()
            return
    raise KernelError(errno.ENOENT)


def _parts(rule: Rule) -> list[tuple[str, object, object]]:
    """(field, what is wanted of it, what says that nothing is)."""
    nothing = Rule(-1)
    action = "lookup" if not rule.table and rule.action == "lookup" else None
    return [
        (name, getattr(rule, name), action if name == "action" else getattr(nothing, name)) for name in Rule.__slots__
    ]
