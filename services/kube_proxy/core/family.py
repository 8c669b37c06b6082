"""The two IP families: kube-proxy runs one proxier for each that its node has."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

Family = Literal["ipv4", "ipv6"]
FAMILIES: Final[tuple[Family, ...]] = ("ipv4", "ipv6")


@lru_cache(maxsize=65536)
def address_of(text: str) -> tuple[str, str]:
    """Family and canonical text of an address; ("", "") for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "", ""
    return f"ipv{address.version}", str(address)


def addresses(texts: Iterable[str], family: Family) -> tuple[str, ...]:
    """The addresses of a family, canonical, in their order, each once."""
    found = (address_of(text) for text in texts)
    return tuple(dict.fromkeys(address for version, address in found if version == family))


def prefixes(texts: Iterable[str], family: Family) -> tuple[str, ...]:
    """The prefixes of a family, canonical; spaces around them are let pass, as upstream's validation does."""
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            continue
        if f"ipv{network.version}" == family:
            found.append(str(network))
    return tuple(dict.fromkeys(found))


def contains(prefix: str, address: str) -> bool:
    """Whether an address lies in a prefix of its family."""
    return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def host(address: str, family: Family) -> str:
    """An address as the prefix of itself alone."""
    return f"{address}/{32 if family == 'ipv4' else 128}"
