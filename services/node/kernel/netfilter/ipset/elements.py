"""Elements from and to text (lib/parse.c, lib/print.c). An element is one pair of numbers for each part of its type.

An address is (address, bits), a network (address, prefix length), a port (protocol, port); ICMP's is type and code.
"""

import ipaddress
import itertools
from collections.abc import Iterator
from typing import Final

from podwire.services.node.kernel.netfilter.ipset.kinds import IpsetError, Kind

type Element = tuple[tuple[int, int], ...]
PROTOCOLS: Final = {
    "tcp": 6,
    "udp": 17,
    "sctp": 132,
    "udplite": 136,
    "icmp": 1,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "igmp": 2,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipip": 4,
}
_NAMES: Final = {number: name for name, number in reversed(PROTOCOLS.items())} | {58: "icmpv6"}
WITH_PORTS: Final = (6, 17, 132, 136)
_SERVICES: Final = {
    "ftp": 21,
    "ssh": 22,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "pop3": 110,
    "ntp": 123,
    "https": 443,
}
_ICMP: Final = {
    "echo-reply": 0,
    "pong": 0,
    "network-unreachable": 0x300,
    "host-unreachable": 0x301,
    "protocol-unreachable": 0x302,
    "port-unreachable": 0x303,
    "fragmentation-needed": 0x304,
    "echo-request": 0x800,
    "ping": 0x800,
    "ttl-zero-during-transit": 0xB00,
}
_ICMP_NAMES: Final = {number: name for name, number in reversed(_ICMP.items())}
_MOST: Final = 65536
"""How many elements one command may add."""


def bits_of(family: str) -> int:
    """32 or 128."""
    return 128 if family == "inet6" else 32


def parse_elements(kind: Kind, family: str, text: str) -> Iterator[Element]:
    """The elements that a text means: one, or all of its ranges; IpsetError in the tool's words."""
    words = text.split(",")
    _check_count(kind, text, words)
    choices = [_PARSERS[part](word, family) for part, word in zip(kind.parts, words, strict=True)]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > _MOST:
        raise IpsetError(f"Syntax error: {text} holds {total} elements: at most {_MOST} can be added at once")
    return iter(itertools.product(*choices))


def _check_count(kind: Kind, text: str, words: list[str]) -> None:
    wanted = len(kind.parts)
    numbers = {1: "no", 2: "one", 3: "two"}
    if len(words) > wanted:
        if wanted == 1:
            raise IpsetError(f"Syntax error: Elem separator in {text}, but settype {kind.name} supports none.")
        given = {2: "Two", 3: "Three"}.get(len(words) - 1, "More")
        raise IpsetError(
            f"Syntax error: {given} elem separators in {text}, but settype {kind.name} supports {numbers[wanted]}."
        )
    if len(words) < wanted or "" in words:
        which = "Second" if len(words) < 2 or not words[0] or not words[1] else "Third"
        raise IpsetError(f"Syntax error: {which} element is missing from {text}.")


def _address(text: str, family: str) -> int:
    try:
        address = ipaddress.ip_address(text)
        if address.version != (6 if family == "inet6" else 4):
            raise ValueError
    except ValueError:
        name = "IPv6" if family == "inet6" else "IPv4"
        raise IpsetError(f"Syntax error: cannot parse {text}: resolving to {name} address failed") from None
    return int(address)


def _number(text: str, low: int, high: int) -> int:
    try:
        number = int(text, 16) if text[:2].lower() == "0x" else int(text, 10)
    except ValueError:
        number = -1
    if not text.isascii() or "_" in text or text.startswith(("-", "+")) or (number < 0):
        raise IpsetError(f"Syntax error: '{text}' is invalid as number")
    if not low <= number <= high:
        raise IpsetError(f"Syntax error: '{text}' is out of range {low}-{high}")
    return number


parse_number = _number


def _prefixed(text: str, family: str) -> tuple[int, int]:
    address, slash, length = text.partition("/")
    bits = bits_of(family)
    cidr = _number(length, 0, bits) if slash else bits
    number = _address(address, family)
    if not cidr:
        raise IpsetError("The value of the CIDR parameter of the IP address is invalid")
    return number >> (bits - cidr) << (bits - cidr), cidr


def _range(text: str, family: str) -> tuple[int, int] | None:
    low, dash, high = text.partition("-")
    if not dash:
        return None
    first, last = _address(low, family), _address(high, family)
    return min(first, last), max(first, last)


def _addresses(text: str, family: str) -> list[tuple[int, int]]:
    bits = bits_of(family)
    ends = _range(text, family)
    if ends is None:
        network, cidr = _prefixed(text, family)
        ends = (network, network + (1 << (bits - cidr)) - 1)
    if ends[1] - ends[0] >= _MOST:
        raise IpsetError(f"Syntax error: {text} holds too many addresses: at most {_MOST} can be added at once")
    return [(address, bits) for address in range(ends[0], ends[1] + 1)]


def _networks(text: str, family: str) -> list[tuple[int, int]]:
    ends = _range(text, family)
    if ends is None:
        return [_prefixed(text, family)]
    kind = ipaddress.IPv6Address if family == "inet6" else ipaddress.IPv4Address
    blocks = ipaddress.summarize_address_range(kind(ends[0]), kind(ends[1]))
    return [(int(block.network_address), block.prefixlen) for block in blocks]


def _ports(text: str, family: str) -> list[tuple[int, int]]:
    name, colon, rest = text.partition(":")
    if not colon:
        return [(6, port) for port in _port_range(text)]
    protocol = PROTOCOLS.get(name.lower())
    if protocol is None:
        protocol = _protocol_number(name)
    if protocol in WITH_PORTS:
        return [(protocol, port) for port in _port_range(rest or text)]
    if protocol in (1, 58):
        return [(protocol, _icmp(rest))]
    if rest != "0":
        raise IpsetError(f"Syntax error: Protocol {name} can be used with pseudo port value 0 only.")
    return [(protocol, 0)]


def _protocol_number(name: str) -> int:
    if not (name.isascii() and name.isdigit()) or not 0 < int(name) < 256:
        raise IpsetError(f"Syntax error: cannot parse '{name}' as a protocol")
    return int(name)


def _port_range(text: str) -> range:
    low, dash, high = text.partition("-")
    first = _port(low)
    last = _port(high) if dash else first
    return range(min(first, last), max(first, last) + 1)


def _port(text: str) -> int:
    if text in _SERVICES:
        return _SERVICES[text]
    try:
        return _number(text, 0, 65535)
    except IpsetError as error:
        also = "Syntax error: 'tcp' is invalid as number"
        raise IpsetError(f"{error.message}\n{also}\ncannot parse '{text}' as a tcp port") from None


def _icmp(text: str) -> int:
    if text in _ICMP:
        return _ICMP[text]
    kind, _, code = text.partition("/")
    return _number(kind, 0, 255) << 8 | _number(code or "0", 0, 255)


def _sets(text: str, family: str) -> list[tuple[int, int]]:
    raise IpsetError(f"Syntax error: {text} is no element")


_PARSERS: Final = {"ip": _addresses, "net": _networks, "port": _ports, "set": _sets}


def format_element(kind: Kind, family: str, element: Element) -> str:
    """An element as `ipset list` prints it."""
    if kind.name == "bitmap:port":
        return str(element[0][1])
    return ",".join(
        _format_port(*pair) if part == "port" else _format_address(family, *pair)
        for part, pair in zip(kind.parts, element, strict=True)
    )


def _format_address(family: str, address: int, length: int) -> str:
    text = str(ipaddress.IPv6Address(address) if family == "inet6" else ipaddress.IPv4Address(address))
    return text if length == bits_of(family) else f"{text}/{length}"


def _format_port(protocol: int, port: int) -> str:
    name = _NAMES.get(protocol, str(protocol))
    if protocol == 1:
        return f"{name}:{_ICMP_NAMES.get(port) or f'{port >> 8}/{port & 255}'}"
    return f"{name}:{port >> 8}/{port & 255}" if protocol == 58 else f"{name}:{port}"


def _packed(family: str, address: int) -> bytes:
    return address.to_bytes(bits_of(family) // 8)


def kernel_bytes(kind: Kind, family: str, element: Element) -> bytes:
    """An element as the kernel lays it out and hashes it (struct hash_ip4_elem and its kin)."""
    first = _packed(family, element[0][0])
    if kind.name == "hash:ip":
        return first
    if kind.name == "hash:net":
        return first + bytes((0, 0, 0, element[0][1]))
    protocol, port = element[1]
    if kind.name == "hash:ip,port":
        return first + port.to_bytes(2) + bytes((protocol, 0))
    if kind.name == "hash:net,port":
        return first + port.to_bytes(2) + bytes((protocol, element[0][1] - 1))
    second = _packed(family, element[2][0])
    if kind.name == "hash:ip,port,ip":
        return first + second + port.to_bytes(2) + bytes((protocol, 0))
    return first + second + port.to_bytes(2) + bytes((element[2][1] - 1, protocol))
