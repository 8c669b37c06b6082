"""Addresses of hosts outside that come and go with a command."""

from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import VISITORS
from podwire.services.chassis.chance import RandomBits, choose


def any_addresses(random: RandomBits) -> tuple[str, ...]:
    """One of them's, of both families; two commands at once seldom draw the same."""
    return tuple(address.partition("/")[0] for address in ADDRESSING["dual"].machine(choose(random, VISITORS)))
