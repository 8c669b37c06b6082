"""plugin/loop: asks this server a name nobody else knows; if the query comes back, forwarding goes round in circles."""

from dataclasses import dataclass
from typing import Final

import dns.rdatatype

from podwire.services.chassis.chance import RandomBits
from podwire.services.coredns.core.corefile import Directive, ServerBlock
from podwire.services.coredns.core.query import Follow, Query, Steps

MOST: Final = 2
WATCHES_FOR: Final = 30.0
"""Seconds after the start within which the name may come back."""


@dataclass(slots=True)
class Loop:
    """One `loop` directive."""

    zone: str
    name: str
    seen: int = 0
    client: tuple[str, int] = ("", 0)
    active: bool = True

    def serve(self, query: Query, follow: Follow) -> Steps:
        """The rest of the chain's answer; the name that was made up is counted."""
        if self.active and query.kind == dns.rdatatype.HINFO and query.name == self.name:
            self.seen += 1
            self.client = query.client
        return (yield from follow(query))

    @property
    def found(self) -> bool:
        """Whether there is a loop."""
        return self.seen > MOST

    def verdict(self, port: int) -> str:
        """What is said of it, before CoreDNS ends."""
        source = f"{self.client[0]}:{self.client[1]} -> :{port}"
        return (
            f'[FATAL] plugin/loop: Loop ({source}) detected for zone "{self.zone}", see '
            f'https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {self.name}"'
        )


def configure(directive: Directive, block: ServerBlock, random: RandomBits) -> Loop:
    """The plugin of a directive. Raises CorefileError."""
    if directive.arguments or directive.block:
        raise directive.wrong_arguments()
    zone = block.zones[0]
    labels = f"{random.getrandbits(63)}.{random.getrandbits(63)}."
    return Loop(zone, labels if zone == "." else f"{labels}{zone}")
