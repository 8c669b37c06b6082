"""plugin/loadbalance: the addresses of an answer in another order each time (round_robin)."""

from dataclasses import dataclass

import dns.rdatatype
import dns.rrset

from podwire.services.chassis.chance import RandomBits, below
from podwire.services.coredns.core.corefile import Directive
from podwire.services.coredns.core.query import AAAA, A, Follow, Query, Steps

_SHUFFLED = (A, AAAA, dns.rdatatype.MX)


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """One `loadbalance` directive."""

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The rest of the chain's answer, its A, AAAA and MX records shuffled."""
        response = yield from follow(query)
        for section in (response.answer, response.additional):
            for position, each in enumerate(section):
                if each.rdtype in _SHUFFLED and len(each) > 1:
                    section[position] = _shuffled(each, query.random)
        return response


def _shuffled(records: dns.rrset.RRset, random: RandomBits) -> dns.rrset.RRset:
    datas = list(records)
    shuffle(datas, random)
    return dns.rrset.from_rdata_list(records.name, records.ttl, datas)


def shuffle[T](items: list[T], random: RandomBits) -> None:
    """A fair shuffle in place (Fisher-Yates)."""
    for last in range(len(items) - 1, 0, -1):
        other = below(random, last + 1)
        items[last], items[other] = items[other], items[last]


def configure(directive: Directive) -> LoadBalance:
    """The plugin of a directive. Raises CorefileError."""
    if directive.arguments not in ((), ("round_robin",)):
        raise directive.error(f"policy {' '.join(directive.arguments)!r} is not built, only round_robin is")
    return LoadBalance()
