"""getent hosts."""

from typing import Final

from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolv_conf import is_address
from podwire.services.node.process import Process

_NOT_FOUND: Final = 2


async def getent(process: Process) -> int:
    """getent hosts|ahosts|ahostsv4 NAME…"""
    words = process.arguments[1:]
    if len(words) < 2 or words[0] not in ("hosts", "ahosts", "ahostsv4"):
        known = words and words[0] in ("passwd", "group", "services", "networks", "protocols")
        text = f"getent: {words[0]} is not built: hosts, ahosts, ahostsv4 are" if known else "Unknown database"
        await process.complain(text)
        return 1
    resolver, code = process.resolver(), 0
    for name in words[1:]:
        try:
            if is_address(name) and words[0] == "hosts":
                canonical, addresses = (await resolver.names(name))[0], [name]
            else:
                canonical, addresses = await resolver.resolve(name)
        except ResolutionFailure:
            code = _NOT_FOUND
            continue
        await process.print(_lines(words[0], canonical, addresses))
    return code


def _lines(database: str, canonical: str, addresses: list[str]) -> str:
    if database == "hosts":
        return "".join(f"{address:<15} {canonical}\n" for address in addresses)
    lines = []
    for number, address in enumerate(addresses):
        name = f" {canonical}" if number == 0 else ""
        lines += [f"{address:<15} STREAM{name}\n", f"{address:<15} DGRAM\n", f"{address:<15} RAW\n"]
    return "".join(lines)
