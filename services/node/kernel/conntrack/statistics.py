"""What connection tracking counts of a namespace (struct ip_conntrack_stat, `conntrack -S`)."""

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """In the order that conntrack prints them. `error` is about ICMP.

    `found` counts tuples that NAT could not take, each once; Linux looks at some more than once.
    """

    found: int = 0
    invalid: int = 0
    insert: int = 0
    insert_failed: int = 0
    drop: int = 0
    early_drop: int = 0
    error: int = 0
    search_restart: int = 0
    clash_resolve: int = 0
    chaintoolong: int = 0
