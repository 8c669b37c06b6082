"""plugin/autopath: walks a pod's search list here, so that the pod need not ask for each name in it."""

from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.rcode

from podwire.services.coredns.core.corefile import Directive, ServerBlock
from podwire.services.coredns.core.query import Follow, Message, Query, Steps, rrset
from podwire.services.coredns.core.zones import is_below, matching, normalized, without_zone


@dataclass(slots=True)
class AutoPath:
    """One `autopath` directive. `search` gives the asking pod's search list, with "" at its end; none, if empty."""

    zones: tuple[str, ...]
    search: Callable[[Query], tuple[str, ...]]

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The first answer along the search list that is not NXDOMAIN, behind a CNAME from the name that was asked;
        if there is none, the first answer as it was."""
        path = self.search(query) if matching(self.zones, query.name) else ()
        if not path or not is_below(path[0], query.name) or query.name == path[0]:
            return (yield from follow(query))
        base = without_zone(query.name, path[0])
        first: Message | None = None
        for position, zone in enumerate(path):
            name = f"{base}.{zone}" if zone else f"{base}."
            response = yield from follow(query.asking(name))
            first = first or response
            if response.rcode() == dns.rcode.NOERROR:
                return response if position == 0 else _aliased(query, name, response)
        assert first is not None
        return first


def _aliased(query: Query, name: str, response: Message) -> Message:
    aliased = dns.message.make_response(query.message)
    aliased.flags |= response.flags
    ttl = min((int(each.ttl) for each in response.answer), default=0)
    aliased.answer = [rrset(query.name, ttl, "CNAME", name), *response.answer] if response.answer else []
    aliased.authority, aliased.additional = response.authority, response.additional
    return aliased


def configure(directive: Directive, block: ServerBlock) -> tuple[tuple[str, ...], str]:
    """`autopath [ZONES…] RESOLV-CONF`: the zones, and a file or `@kubernetes`. Raises CorefileError."""
    if not directive.arguments:
        raise directive.error("no resolv-conf specified")
    *zones, source = directive.arguments
    if source.startswith("@") and source != "@kubernetes":
        raise directive.error(f"plugin {source[1:]} does not provide AutoPath")
    return tuple(normalized(zone) for zone in zones) or block.zones, source
