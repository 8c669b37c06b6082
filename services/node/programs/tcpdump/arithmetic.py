"""Relations of pcap-filter(7): `tcp[tcpflags] & (tcp-syn|tcp-ack) != 0`, on 32-bit unsigned numbers. Pure."""

import operator
from collections.abc import Callable
from typing import Final

from podwire.services.node.programs.tcpdump.fields import TRANSPORTS, base, word
from podwire.services.node.programs.tcpdump.words import FilterError, Words

type Number = Callable[[bytes], int | None]
type Predicate = Callable[[bytes], bool]

_MASK: Final = 0xFFFFFFFF
_INDEXED: Final = ("ether", "link", "ip", "ip6", "arp", "rarp", *TRANSPORTS)
NAMED: Final = {
    "icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
    "tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64,
    "tcp-cwr": 128,
    "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
    "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13,
    "icmp-tstampreply": 14, "icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
    "icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-routersolicit": 133,
    "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136,
}  # fmt: skip
_RELATIONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LEVELS: Final = (("|", "^"), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "%"))
_OPERATIONS: Final[dict[str, Callable[[int, int], int | None]]] = {
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "<<": lambda a, b: a << b if b < 32 else 0,
    ">>": lambda a, b: a >> b if b < 32 else 0,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a // b if b else None,
    "%": lambda a, b: a % b if b else None,
}


def relation(words: Words) -> Predicate:
    """NUMBER RELATION NUMBER. Raises FilterError."""
    left = _level(words, 0)
    sign = words.take()
    if sign not in _RELATIONS:
        raise FilterError("syntax error")
    right, compare = _level(words, 0), _RELATIONS[sign]

    def holds(frame: bytes) -> bool:
        first, second = left(frame), right(frame)
        return first is not None and second is not None and compare(first, second)

    return holds


def _level(words: Words, level: int) -> Number:
    if level == len(_LEVELS):
        return _atom(words)
    left = _level(words, level + 1)
    while words.next in _LEVELS[level]:
        left = _combined(words.take(), left, _level(words, level + 1))
    return left


def _combined(sign: str, left: Number, right: Number) -> Number:
    operation = _OPERATIONS[sign]

    def value(frame: bytes) -> int | None:
        first, second = left(frame), right(frame)
        result = operation(first, second) if first is not None and second is not None else None
        return None if result is None else result & _MASK

    return value


def _atom(words: Words) -> Number:
    given = words.take()
    if given == "(":
        words.enter()
        inside = _level(words, 0)
        words.expect(")")
        words.leave()
        return inside
    if given == "-":
        words.enter()
        negated = _combined("-", lambda _: 0, _atom(words))
        words.leave()
        return negated
    if given in ("len", "length"):
        return len
    if given in NAMED:
        return _constant(NAMED[given])
    if given in _INDEXED and words.next == "[":
        return _index(words, given)
    try:
        return _constant(int(given, 0) & _MASK)
    except ValueError:
        raise FilterError("syntax error") from None


def _constant(value: int) -> Number:
    return lambda _: value


def _index(words: Words, protocol: str) -> Number:
    """PROTOCOL[OFFSET] or PROTOCOL[OFFSET:SIZE]."""
    words.expect("[")
    words.enter()
    offset = _level(words, 0)
    words.leave()
    size = 1
    if words.next == ":":
        words.take()
        given = words.take()
        if given not in ("1", "2", "4"):
            raise FilterError("data size must be 1, 2, or 4")
        size = int(given)
    words.expect("]")

    def value(frame: bytes) -> int | None:
        start, at = base(frame, protocol), offset(frame)
        return None if start is None or at is None else word(frame, start + at, size)

    return value
