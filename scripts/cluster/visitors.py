"""Addresses of hosts outside that come and go with a command."""

import secrets

from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import VISITORS


def any_addresses() -> tuple[str, ...]:
    """One of them's, of both families; two commands at once seldom draw the same."""
    return tuple(address.partition("/")[0] for address in ADDRESSING["dual"].machine(secrets.choice(VISITORS)))
