"""Walking a packet through a table (Linux ipt_do_table), with an explicit stack of calling chains."""

from typing import TYPE_CHECKING

from podwire.services.node.kernel.netfilter.chain import Chain, Table
from podwire.services.node.kernel.netfilter.evaluation import Evaluation
from podwire.services.node.kernel.netfilter.rule import Rule
from podwire.services.node.kernel.netfilter.targets.base import ACCEPT, CONTINUE, DROP, RETURN
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.kernel import Kernel


def traverse(table: Table, packet: Packet, at: Evaluation) -> str:
    """The table's verdict, ACCEPT or DROP; counts every rule and policy that applied."""
    base = chain = table.chains[at.hook]
    index = 0
    callers: list[tuple[Chain, int]] = []
    while True:
        found = _next_match(chain, index, packet, at)
        if found is not None:
            rule = chain.rules[found]
            packet.count(rule.counter, packet.length)
            if packet.trace:
                _trace_rule(at.namespace.kernel, packet, at, chain, found, rule)
            if rule.jump:
                if not rule.goto:
                    callers.append((chain, found + 1))
                chain, index = table.chains[rule.jump], 0
                continue
            verdict = CONTINUE if rule.target is None else rule.target.apply(packet, at)
            if verdict == CONTINUE:
                index = found + 1
                continue
            if verdict != RETURN:
                if verdict == DROP:
                    _drop(at, packet, chain, found, rule)
                return verdict
        if callers:
            chain, index = callers.pop()
            continue
        return _policy(base, packet, at)


def _next_match(chain: Chain, start: int, packet: Packet, at: Evaluation) -> int | None:
    """The next rule that matches; rules in between are accounted as passed."""
    for run in chain.runs:
        if run.end <= start:
            continue
        for index in run.candidates(packet, start):
            if chain.rules[index].test(packet, at):
                at.rules_passed += index + 1 - start
                return index
    at.rules_passed += max(len(chain.rules) - start, 0)
    return None


def _policy(base: Chain, packet: Packet, at: Evaluation) -> str:
    packet.count(base.counter, packet.length)
    policy = base.policy or ACCEPT
    kernel = at.namespace.kernel
    if packet.trace:
        kernel.hop(
            packet,
            "policy",
            at.namespace,
            hook=at.hook,
            table=at.table,
            chain=base.name,
            rules_passed=at.rules_passed,
            verdict=policy,
        )
    if policy == DROP:
        detail = f"policy of {at.table} {base.name}"
        kernel.drop_by_rule(packet, at, base.name, 0, f"-P {base.name} DROP", detail, "")
    return policy


def _trace_rule(kernel: "Kernel", packet: Packet, at: Evaluation, chain: Chain, index: int, rule: Rule) -> None:
    kernel.hop(
        packet,
        "rule",
        at.namespace,
        hook=at.hook,
        table=at.table,
        chain=chain.name,
        rule=index + 1,
        rule_text=f"-A {chain.name} {rule.specification()}",
        rules_passed=at.rules_passed,
        verdict=rule.verdict,
        owner=rule.owner or rule.comment,
    )


def _drop(at: Evaluation, packet: Packet, chain: Chain, index: int, rule: Rule) -> None:
    text = f"-A {chain.name} {rule.specification()}"
    detail = f"{rule.verdict} in {at.table} {chain.name}, rule {index + 1}"
    at.namespace.kernel.drop_by_rule(packet, at, chain.name, index + 1, text, detail, rule.owner or rule.comment)
