"""Carrying out the checks of a plan, by real exchanges."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import dns.exception
import dns.message
import dns.rcode
import yaml

from podwire.proto.kube import resources
from podwire.proto.messages.machine import Connect, Outcome
from podwire.scripts.chaos.plan import Check, Dns, Http, Reach, seconds
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.scripts.reach.expectation import compared, idle, parse_rules
from podwire.scripts.reach.survey import Asked, survey
from podwire.scripts.trace.resolve import destination, source
from podwire.services.chassis.api.client import ApiError, ApiUnavailable

_STATUS: Final = re.compile(r"HTTP (\d+)")
_SPARE: Final = 5.0
"""Seconds that a machine may be late with its answer."""


class Answer(NamedTuple):
    """Whether a check held, and what it said."""

    holds: bool
    said: str


async def carry_out(client: Operator, check: Check, namespace: str) -> Answer:
    """One try. What cannot be tried (no such pod, no answer from its machine) does not hold."""
    try:
        if check.http is not None:
            return await _http(client, check.http, namespace)
        if check.dns is not None:
            return await _dns(client, check.dns, namespace)
        return await _reach(client, check.reach or Reach(rules=[]), namespace)
    except (UserError, ApiError, ApiUnavailable) as error:
        return Answer(False, str(error))


async def _connect(
    client: Operator, start: str, namespace: str, fill: Callable[..., Connect], timeout: float
) -> Outcome:
    place = await source(client, start, namespace)
    call = fill(trace="", namespace=place.namespace, pod=place.pod, timeout=timeout)
    answer = await client.ask_machine(place.node, call, timeout + _SPARE)
    return answer if isinstance(answer, Outcome) else Outcome(success=False, text=str(answer), duration=0)


async def _http(client: Operator, wanted: Http, namespace: str) -> Answer:
    end = await destination(client, wanted.url, namespace)
    if end.kind != "http":
        raise UserError(f"url {wanted.url!r}: http://HOST[:PORT][/PATH] is needed")

    def fill(**more: object) -> Connect:
        place = {"address": end.address, "port": end.port, "host": end.host, "path": end.path}
        return Connect(kind="http", **place, **more)  # type: ignore[arg-type]  # the fields of a Connect

    outcome = await _connect(client, wanted.from_, namespace, fill, seconds("timeout", wanted.timeout))
    status = _STATUS.search(outcome.text)
    if status is None or int(status[1]) != wanted.status:
        return Answer(False, outcome.text)
    if wanted.contains and wanted.contains.encode() not in outcome.body:
        return Answer(False, f"{outcome.text}, without {wanted.contains!r} in it")
    return Answer(True, outcome.text)


async def _dns(client: Operator, wanted: Dns, namespace: str) -> Answer:
    server = (await client.api.get(resources.SERVICES, "kube-system", "kube-dns"))["spec"]["clusterIP"]
    try:
        query = dns.message.make_query(wanted.name, wanted.type, id=client.random.getrandbits(16))
    except dns.exception.DNSException as error:
        raise UserError(
            f"name {wanted.name!r}: {error}; a whole name is needed, as my-api.default.svc.cluster.local"
        ) from None

    def fill(**more: object) -> Connect:
        return Connect(kind="udp", address=server, port=53, data=query.to_wire(), **more)  # type: ignore[arg-type]  # the fields of a Connect

    outcome = await _connect(client, wanted.from_, namespace, fill, seconds("timeout", wanted.timeout))
    return _read(outcome, wanted) if outcome.success else Answer(False, outcome.text)


def _read(outcome: Outcome, wanted: Dns) -> Answer:
    try:
        reply = dns.message.from_wire(outcome.body, ignore_trailing=True)
    except dns.exception.DNSException as error:
        return Answer(False, f"not a DNS answer: {error}")
    if reply.rcode() != dns.rcode.NOERROR:
        return Answer(False, dns.rcode.to_text(reply.rcode()))
    found = [str(item) for rrset in reply.answer for item in rrset]
    told = ", ".join(found) or "no records"
    return Answer(bool(found) and wanted.answer in ("", *found), told)


async def _reach(client: Operator, wanted: Reach, namespace: str) -> Answer:
    rules = parse_rules(yaml.safe_dump(wanted.rules))
    asked = Asked(
        namespaces=tuple(wanted.namespaces) or (namespace,),
        from_=wanted.from_,
        to=wanted.to,
        services=wanted.services,
        nodes=wanted.nodes,
        external=wanted.external,
        timeout=seconds("timeout", wanted.timeout),
    )
    matrix = await survey(client, asked)
    wrong = [str(each) for each in compared(matrix.results, rules) if each.differs] + idle(matrix.results, rules)
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Answer(not wrong, f"{wrong[0]}{more}" if wrong else matrix.tally())
