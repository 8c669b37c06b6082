"""k8s_dns_chaos: errors and random addresses for pods that a DNSChaos object has.

Source: chaos-mesh/k8s_dns_chaos `chaos.go`, `grpc_server.go`. There it is a server of its own to which pods are turned;
here the cluster's CoreDNS has it, before everything else.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import dns.rcode

from podwire.proto.kube.chaos import DnsChaos
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import below
from podwire.services.coredns.core.query import AAAA, A, Message, Query, reply, rrset

_TTL: Final = 10
_OCTETS: Final = 255


def answer(experiments: Mapping[ObjectKey, DnsChaos], query: Query) -> Message | None:
    """The answer that an experiment wants; None where none has the client and the name. The first by name counts."""
    for key in sorted(experiments):
        chaos = experiments[key]
        if query.client[0] in (chaos.status.addresses or ()) and _fits(chaos, query.name):
            return _random(query) if chaos.spec.action == "random" else reply(query, dns.rcode.SERVFAIL)
    return None


def _fits(chaos: DnsChaos, name: str) -> bool:
    patterns = chaos.spec.patterns or []
    return not patterns or any(_compiled(pattern).fullmatch(name.removesuffix(".")) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`?` is any letter, `*` at the end any rest (chaos-mesh, "Simulate DNS Faults")."""
    literal = pattern.lower().removesuffix(".")
    parts = "".join("." if letter == "?" else re.escape(letter) for letter in literal.removesuffix("*"))
    return re.compile(parts + (".*" if literal.endswith("*") else ""))


def _random(query: Query) -> Message:
    if query.kind not in (A, AAAA):
        return reply(query, dns.rcode.SERVFAIL)
    response = reply(query, authoritative=True)
    name = query.question.name.to_text()
    octets = [below(query.random, _OCTETS) for _ in range(4)]
    text = ".".join(map(str, octets)) if query.kind == A else f"2001:db8::{octets[0]:x}:{octets[1]:x}"
    response.answer.append(rrset(name, _TTL, "A" if query.kind == A else "AAAA", text))
    return response
