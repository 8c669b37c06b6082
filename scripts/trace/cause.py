"""In one line: why a traced exchange ended as it did, with the rule that decided."""

from collections.abc import Sequence

from podwire.proto.messages.telemetry import Hop
from podwire.scripts.trace.advice import advice
from podwire.scripts.trace.deciding import deciding
from podwire.scripts.trace.flights import Flight


def cause(found: Sequence[Flight]) -> str:
    """The drop that ended it, or the last rule that let it pass, or that no packet was seen."""
    died = next((flight.died for flight in found if flight.died is not None and not flight.is_control), None)
    if died is None:
        died = next((flight.died for flight in found if flight.died is not None), None)
    if died is not None:
        return f"dropped on {_place(died)}: {died.reason} {_rule(died) or died.detail}".rstrip() + f" ({advice(died)})"
    requests = [flight for flight in found if not flight.is_reply and not flight.is_control]
    if not requests:
        return "no packet was seen: no route, or the machine is not there"
    passed = [hop for hop in deciding(requests[0].hops) if hop.kind in ("rule", "nat")]
    last = requests[0].hops[-1]
    decided = f"; decided by {_rule(passed[-1]) or passed[-1].summary} on {_place(passed[-1])}" if passed else ""
    return f"it came as far as {_place(last)}: {last.kind} {' '.join((last.device, last.detail)).strip()}{decided}"


def _place(hop: Hop) -> str:
    return f"{hop.node} pod {hop.netns}" if hop.netns else hop.node


def _rule(hop: Hop) -> str:
    """The rule as its machine lists it."""
    if hop.kind == "nat":
        return f"{hop.verdict} {hop.before} -> {hop.after}"
    if not hop.rule_text:
        return ""
    return f"rule {hop.rule} of chain {hop.chain} in table {hop.table}: {hop.rule_text}"
