"""The set types: what an element consists of, and which options they take (lib/ipset_hash_*.c, ipset_bitmap_port.c)."""

from dataclasses import dataclass
from typing import Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError

_EXTENSIONS: Final = ("timeout", "counters", "comment")
_HASH: Final = ("family", "hashsize", "maxelem", "bucketsize", "initval", *_EXTENSIONS)


class IpsetError(NetfilterError):
    """What the tool or the kernel refuses; `usage` errors exit with 2 and point to the help."""

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Kind:
    """A type. `parts` are "ip", "net" and "port"; `octets` is an element's size in the kernel by family."""

    name: str
    parts: tuple[str, ...]
    revision: int
    options: tuple[str, ...] = _HASH
    octets: tuple[int, int] = (0, 0)
    base: tuple[int, int] = (0, 0)

    @property
    def takes_nomatch(self) -> bool:
        """Whether an element may be an exception."""
        return "net" in self.parts


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("hash:ip", ("ip",), 6, (*_HASH, "netmask"), (4, 16), (192, 200)),
        Kind("hash:net", ("net",), 7, _HASH, (8, 20), (432, 1216)),
        Kind("hash:ip,port", ("ip", "port"), 7, _HASH, (8, 20), (192, 208)),
        Kind("hash:ip,port,ip", ("ip", "port", "ip"), 6, _HASH, (12, 36), (184, 208)),
        Kind("hash:ip,port,net", ("ip", "port", "net"), 8, _HASH, (12, 36), (440, 1232)),
        Kind("hash:net,port", ("net", "port"), 8, _HASH, (8, 20), (432, 1216)),
        Kind("bitmap:port", ("port",), 3, ("range", *_EXTENSIONS)),
        Kind("list:set", ("set",), 3, ("size", *_EXTENSIONS)),
    )
}
UNBUILT: Final = (
    *("hash:mac", "hash:ip,mac", "hash:ip,mark", "hash:net,net", "hash:net,port,net", "hash:net,iface"),
    *("bitmap:ip", "bitmap:ip,mac"),
)
"""Types that exist and that this kernel does not have; the tool says so as of a module that is missing."""


def find_kind(name: str) -> Kind:
    """A type by its name; IpsetError if there is none."""
    if name in UNBUILT:
        raise IpsetError("Kernel error received: set type not supported")
    if name not in KINDS:
        raise IpsetError(f"Syntax error: typename '{name}' is unknown")
    return KINDS[name]
