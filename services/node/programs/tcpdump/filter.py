"""Filter expressions as pcap-filter(7) describes them, as predicates on Ethernet frames. Pure.

`and` and `or` are of equal rank and associate to the left; an address or port without qualifiers takes those of the one
before it. Not built, and refused by name: vlan, mpls, pppoe and gateway, 802.11, directions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from podwire.proto.packet.addresses import parse_address, parse_mac
from podwire.proto.packet.errors import PacketError
from podwire.services.node.programs.tcpdump import fields
from podwire.services.node.programs.tcpdump.arithmetic import Predicate, relation
from podwire.services.node.programs.tcpdump.fields import ARP, IPV4, IPV6, RARP, TRANSPORTS
from podwire.services.node.programs.tcpdump.words import FilterError, Words

__all__ = ["FilterError", "Predicate", "compile_filter"]

_NOT_BUILT: Final = (
    *("vlan", "mpls", "pppoed", "pppoes", "geneve", "gateway", "inbound", "outbound", "ifname"),
    *("type", "subtype", "wlan", "decnet", "stp", "iso", "llc", "link"),
)
_ETHERTYPES: Final = {"ip": IPV4, "ip6": IPV6, "arp": ARP, "rarp": RARP}
_PROTOCOLS: Final = ("ether", *_ETHERTYPES, *TRANSPORTS)
_KINDS: Final = ("host", "net", "port", "portrange", "proto")
_WITH_PORTS: Final = ("tcp", "udp", "sctp")
_SERVICES: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "ftp": (21, ("tcp",)),
    "ssh": (22, ("tcp",)),
    "smtp": (25, ("tcp",)),
    "domain": (53, ("tcp", "udp")),
    "bootps": (67, ("udp",)),
    "bootpc": (68, ("udp",)),
    "http": (80, ("tcp",)),
    "ntp": (123, ("udp",)),
    "snmp": (161, ("tcp", "udp")),
    "https": (443, ("tcp", "udp")),
    "syslog": (514, ("udp",)),
    "mysql": (3306, ("tcp",)),
    "postgresql": (5432, ("tcp",)),
    "redis": (6379, ("tcp",)),
    "http-alt": (8080, ("tcp", "udp")),
}
"""The names of /etc/services that a cluster's ports have, and of which protocols they are."""


@dataclass(frozen=True, slots=True)
class _Qualifiers:
    """What stands before an address or a port."""

    protocol: str = ""
    direction: str = "src or dst"
    kind: str = ""


def compile_filter(text: str) -> Predicate:
    """The predicate of an expression; of an empty one, that everything fits. Raises FilterError."""
    if not text.strip():
        return lambda _: True
    parser = _Parser(Words(text))
    found = parser.expression()
    if parser.words.next:
        raise FilterError("syntax error")
    return found


def _both(left: Predicate, right: Predicate) -> Predicate:
    return lambda frame: left(frame) and right(frame)


def _either(left: Predicate, right: Predicate) -> Predicate:
    return lambda frame: left(frame) or right(frame)


class _Parser:
    def __init__(self, words: Words) -> None:
        self.words = words
        self._last: _Qualifiers | None = None

    def expression(self, term: Callable[[], Predicate] | None = None) -> Predicate:
        """TERM (and|or TERM)…"""
        read = term or self._term
        left = read()
        while self.words.next in ("and", "&&", "or", "||"):
            join = _both if self.words.take() in ("and", "&&") else _either
            left = join(left, read())
        return left

    def _term(self) -> Predicate:
        words = self.words
        if words.next in ("not", "!"):
            words.take()
            words.enter()
            inside = self._term()
            words.leave()
            return lambda frame: not inside(frame)
        at, depth = words.at, words.depth
        try:
            return relation(words)
        except FilterError as error:
            if "syntax" not in str(error):
                raise
            words.back_to(at, depth)
        return self._group(self.expression) if words.next == "(" else self._primitive()

    def _group(self, inside: Callable[[], Predicate]) -> Predicate:
        self.words.expect("(")
        self.words.enter()
        found = inside()
        self.words.expect(")")
        self.words.leave()
        return found

    def _primitive(self) -> Predicate:
        words = self.words
        if words.next in _NOT_BUILT:
            raise FilterError(f"{words.next}: not built")
        if words.next in ("less", "greater"):
            return self._length(words.take())
        if words.next in ("broadcast", "multicast"):
            return _cast("ether", words.take())
        given = self._qualifiers()
        if given.protocol and words.next in ("broadcast", "multicast"):
            return _cast(given.protocol, words.take())
        if given == _Qualifiers(given.protocol) and given.protocol and not self._is_value(words.next):
            return _is_protocol(given.protocol)
        if given == _Qualifiers() and self._last is not None:
            given = self._last
        given = replace(given, kind=given.kind or "host")
        self._last = given
        if words.next == "(":
            return self._group(lambda: self.expression(lambda: self._value(given)))
        return self._value(given)

    def _is_value(self, word: str) -> bool:
        return word not in ("", ")", "and", "or", "&&", "||", "not", "!")

    def _length(self, word: str) -> Predicate:
        limit = _number(self.words.take())
        return (lambda frame: len(frame) <= limit) if word == "less" else (lambda frame: len(frame) >= limit)

    def _qualifiers(self) -> _Qualifiers:
        words, found = self.words, _Qualifiers()
        if words.next in _PROTOCOLS:
            found = replace(found, protocol=words.take())
        if words.next in ("src", "dst"):
            found = replace(found, direction=self._direction())
        if words.next in _KINDS:
            found = replace(found, kind=words.take())
        return found

    def _direction(self) -> str:
        words = self.words
        first, at = words.take(), words.at
        if words.next in ("or", "and", "||", "&&"):
            join = "or" if words.take() in ("or", "||") else "and"
            if words.next in ("src", "dst") and words.next != first:
                words.take()
                return f"src {join} dst"
            words.back_to(at, words.depth)
        return first

    def _value(self, given: _Qualifiers) -> Predicate:
        word = self.words.take()
        if not self._is_value(word) or word in _KINDS or word in ("(", "["):
            raise FilterError("syntax error")
        match given.kind:
            case "port":
                port = _port(word)
                return _of_ports(given, port, port, _SERVICES.get(word, (port, _WITH_PORTS))[1])
            case "portrange":
                low, dash, high = word.partition("-")
                return _of_ports(given, _port(low), _port(high if dash else low))
            case "proto":
                return _of_protocol(given, word.lstrip("\\"))
            case "net":
                return self._net(given, word)
        return _of_mac(given, word) if given.protocol == "ether" else _of_host(given, word)

    def _net(self, given: _Qualifiers, word: str) -> Predicate:
        if self.words.next == "mask":
            self.words.take()
            mask = int.from_bytes(_octets(self.words.take()))
            return _of_prefix(given, _octets(word), mask)
        address, slash, length = word.partition("/")
        network, width = _short(address)
        bits = _number(length) if slash else width
        size = len(network) * 8
        if bits > size:
            raise FilterError(f"mask length must be <= {size}")
        mask = (1 << size) - (1 << size - bits)
        if int.from_bytes(network) & ~mask:
            raise FilterError(f'non-network bits set in "{word}"')
        return _of_prefix(given, network, mask)


# -- what a primitive asks


def _cast(protocol: str, how: str) -> Predicate:
    if protocol == "ether":
        broadcast = how == "broadcast"
        return lambda frame: frame[:6] == b"\xff" * 6 if broadcast else bool(frame[:1]) and bool(frame[0] & 1)
    if how == "multicast" and protocol == "ip":
        return lambda frame: fields.ethertype(frame) == IPV4 and (fields.word(frame, 30, 1) or 0) >= 224
    if how == "multicast" and protocol == "ip6":
        return lambda frame: fields.ethertype(frame) == IPV6 and fields.word(frame, 38, 1) == 255
    raise FilterError(f"{protocol} {how}: not built")


def _is_protocol(protocol: str) -> Predicate:
    if protocol in _ETHERTYPES:
        return _is_ethertype(_ETHERTYPES[protocol])
    if protocol == "ether":
        raise FilterError("syntax error")
    families = (IPV4,) if protocol in ("icmp", "igmp") else (IPV6,) if protocol == "icmp6" else (IPV4, IPV6)
    return _is_transport(TRANSPORTS[protocol], families)


def _is_ethertype(number: int) -> Predicate:
    return lambda frame: fields.ethertype(frame) == number


def _is_transport(number: int, families: tuple[int, ...]) -> Predicate:
    def holds(frame: bytes) -> bool:
        found = fields.upper(frame)
        return found is not None and found.protocol == number and fields.ethertype(frame) in families

    return holds


def _of_protocol(given: _Qualifiers, word: str) -> Predicate:
    if given.protocol == "ether":
        return _is_ethertype(_ETHERTYPES[word] if word in _ETHERTYPES else _number(word))
    families = {"ip": (IPV4,), "ip6": (IPV6,), "": (IPV4, IPV6)}.get(given.protocol)
    if families is None:
        raise FilterError(f"'{given.protocol} proto' is bogus")
    return _is_transport(TRANSPORTS[word] if word in TRANSPORTS else _number(word), families)


def _of_ports(given: _Qualifiers, low: int, high: int, having: tuple[str, ...] = _WITH_PORTS) -> Predicate:
    if given.protocol and given.protocol not in _WITH_PORTS:
        raise FilterError(f"illegal qualifier of 'port': {given.protocol}")
    protocols = tuple(TRANSPORTS[name] for name in having if given.protocol in ("", name))
    chosen = _choice(given.direction)
    if low > high:
        low, high = high, low

    def holds(frame: bytes) -> bool:
        found = fields.ports(frame, protocols)
        return found is not None and chosen(low <= found[0] <= high, low <= found[1] <= high)

    return holds


def _choice(direction: str) -> Callable[[bool, bool], bool]:
    return {
        "src": lambda source, _: source,
        "dst": lambda _, destination: destination,
        "src and dst": lambda source, destination: source and destination,
    }.get(direction, lambda source, destination: source or destination)


def _of_mac(given: _Qualifiers, word: str) -> Predicate:
    try:
        mac = parse_mac(word)
    except PacketError:
        raise FilterError(f"unknown ether host '{word}'") from None
    chosen = _choice(given.direction)
    return lambda frame: chosen(frame[6:12] == mac, frame[:6] == mac)


def _of_host(given: _Qualifiers, word: str) -> Predicate:
    if given.protocol in TRANSPORTS:
        raise FilterError(f"'{given.protocol}' modifier applied to host")
    network, width = _short(word)
    size = len(network) * 8
    return _of_prefix(given, network, (1 << size) - (1 << size - width))


def _of_prefix(given: _Qualifiers, network: bytes, mask: int) -> Predicate:
    if given.protocol in TRANSPORTS:
        raise FilterError(f"'{given.protocol}' modifier applied to net")
    wanted, size, chosen = int.from_bytes(network), len(network), _choice(given.direction)
    kind = _ETHERTYPES.get(given.protocol)

    def fits(address: bytes) -> bool:
        return len(address) == size and int.from_bytes(address) & mask == wanted

    def holds(frame: bytes) -> bool:
        found = fields.addresses(frame)
        if found is None or (kind is not None and fields.ethertype(frame) != kind):
            return False
        return chosen(fits(found[0]), fits(found[1]))

    return holds


# -- words as numbers and addresses


def _number(word: str) -> int:
    try:
        value = int(word, 0)
    except ValueError:
        raise FilterError("syntax error") from None
    if not 0 <= value <= 0xFFFFFFFF:
        raise FilterError("syntax error")
    return value


def _port(word: str) -> int:
    if word in _SERVICES:
        return _SERVICES[word][0]
    if not (word.isascii() and word.isdigit()):
        raise FilterError(f"unknown port '{word}'")
    if int(word) > 65535:
        raise FilterError(f"illegal port number {word} > 65535")
    return int(word)


def _octets(word: str) -> bytes:
    try:
        value = parse_address(word)
    except PacketError:
        raise FilterError(f"unknown host '{word}'") from None
    return (value & ((1 << 128) - 1)).to_bytes(16) if ":" in word else value.to_bytes(4)


def _short(word: str) -> tuple[bytes, int]:
    """An address and how many of its bits were given: 10.244 are 16."""
    parts = word.split(".")
    if len(parts) < 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
        return bytes(int(part) for part in parts) + bytes(4 - len(parts)), 8 * len(parts)
    octets = _octets(word)
    return octets, 8 * len(octets)
