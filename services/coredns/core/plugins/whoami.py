"""plugin/whoami: tells a client its own address and port."""

from dataclasses import dataclass

from podwire.services.coredns.core.corefile import Directive
from podwire.services.coredns.core.query import Follow, Query, Steps, reply, rrset


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """One `whoami` directive."""

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The address in the additional section, the port and the protocol in an SRV record."""
        response = reply(query, authoritative=True)
        address, port = query.client
        transport = "udp" if query.over_udp else "tcp"
        name = query.question.name.to_text()
        owner = f"_{transport}.{name}" if name != "." else f"_{transport}."
        response.additional += [
            rrset(name, 0, "AAAA" if ":" in address else "A", address),
            rrset(owner, 0, "SRV", f"0 0 {port} ."),
        ]
        yield from ()
        return response


def configure(directive: Directive) -> WhoAmI:
    """The plugin of a directive. Raises CorefileError."""
    if directive.arguments or directive.block:
        raise directive.wrong_arguments()
    return WhoAmI()
