"""The words of a rule (nftables src/parser_bison.y): statements and expressions, read from tokens."""

from collections.abc import Callable
from typing import Final

from podwire.services.node.kernel.nftables import datatypes as types
from podwire.services.node.kernel.nftables.datatypes import Datatype, Scalar
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.expressions import (
    FIELDS,
    Bitwise,
    Concatenation,
    Constant,
    Expression,
    NumberGenerator,
)
from podwire.services.node.kernel.nftables.lexer import Token
from podwire.services.node.kernel.nftables.reader import Reader
from podwire.services.node.kernel.nftables.set_parser import SetParser, seconds
from podwire.services.node.kernel.nftables.sets import Element, NftSet
from podwire.services.node.kernel.nftables.statements import (
    ICMP_CODES,
    ICMPV6_CODES,
    UNITS,
    Count,
    Limit,
    Log,
    Mapped,
    Match,
    NoTrack,
    Refuse,
    SetMark,
    SetReference,
    Statement,
    Terminal,
    Touch,
    Translate,
    Verdict,
    VerdictMap,
)
from podwire.services.node.kernel.nftables.tables import Rule

_OPERATORS: Final = ("==", "!=", "<", ">", "<=", ">=")
_BITWISE: Final = {"&": "&", "and": "&", "|": "|", "or": "|", "^": "^", "xor": "^"}
_VERDICTS: Final = ("accept", "drop", "return", "continue", "jump", "goto")
_NAT_FLAGS: Final = ("random", "fully-random", "persistent")
_SHORT: Final = {"mark": "meta mark", "l4proto": "meta l4proto", "nfproto": "meta nfproto"}
_ICMPX: Final = ("port-unreachable", "admin-prohibited", "no-route", "host-unreachable")
type FindSet = Callable[[str], NftSet | None]


class RuleParser:
    """Reads one rule. `find_set` finds a set of the rule's table by name, now and when packets ask."""

    def __init__(self, reader: Reader, family: str, find_set: FindSet, print_set: Callable[[NftSet], str]) -> None:
        self.reader = reader
        self.family = family
        self.layer = ""
        """ip or ip6 once the rule has named a field of one."""
        self.find_set = find_set
        self.print_set = print_set

    def rule(self) -> Rule:
        """Statements up to the end of the line or block."""
        statements: list[Statement] = []
        comment, self.layer = "", ""
        while not self.reader.at_end():
            if self.reader.take_if("comment"):
                comment = self.reader.text()
                continue
            statements.append(self._statement())
        if not statements:
            raise self.reader.unexpected()
        return Rule(tuple(statements), comment)

    def _statement(self) -> Statement:
        token = self.reader.peek()
        if token.kind == "word" and token.text in _VERDICTS:
            return Terminal(self.verdict())
        handler = _STATEMENTS.get(token.text) if token.kind == "word" else None
        if handler is not None:
            self.reader.next()
            return handler(self)
        return self._condition()

    def verdict(self) -> Verdict:
        """accept, drop, …; jump and goto with their chain."""
        kind = self.reader.next().text
        if kind not in _VERDICTS:
            raise self.reader.unexpected(back=1)
        return Verdict(kind, self.reader.text() if kind in ("jump", "goto") else "")

    # Conditions

    def _condition(self) -> Statement:
        left = self.expression()
        if self.reader.take_if("vmap"):
            return VerdictMap(left, self._members(left.fields, (types.VERDICT,)), self.print_set)
        if self.reader.take_if("set"):
            return SetMark(left.text(), self._value(left.fields[0]))
        operator = self.reader.take_of(_OPERATORS)
        token = self.reader.peek()
        if token.kind == "set" or token.text == "{":
            return Match(left, operator, members=self._members(left.fields, ()), print_set=self.print_set)
        if len(left.fields) > 1:
            ranges = SetParser(self.reader, left.fields, (), self).element().ranges
            holder = NftSet("", left.fields)
            holder.add(_element(ranges), 0)
            return Match(left, operator, members=SetReference(lambda: holder), print_set=self.print_set)
        return self._compare(left, operator)

    def _compare(self, left: Expression, operator: str) -> Match:
        datatype = left.fields[0]
        low, high = self._constant(datatype)
        if datatype.is_mask and self.reader.take_if("/"):
            return Match(left, operator, ((low, low),), mask=int(self._constant(datatype)[0]))
        if isinstance(left, Bitwise) and datatype.is_mask and operator in ("==", "!="):
            kept = "" if operator == "==" else operator
            return Match(left.inner, kept, ((low, low),), mask=left.operand)
        return Match(left, operator, ((low, high),))

    def _constant(self, datatype: Datatype) -> tuple[Scalar, Scalar]:
        """A value or range; bits of a mask may be joined by commas or bars."""
        if not datatype.is_mask:
            return self._checked(lambda text: datatype.parse_range(text))
        opened = self.reader.take_if("(")
        bits = int(self._checked(datatype.parse))
        while self.reader.take_of((",", "|")):
            bits |= int(self._checked(datatype.parse))
        if opened:
            self.reader.expect(")")
        return bits, bits

    def _checked[T](self, parse: Callable[[str], T]) -> T:
        token = self.reader.next()
        if token.kind not in ("word", "string"):
            raise self.reader.unexpected(back=1)
        try:
            return parse(token.text)
        except NftError as error:
            raise NftError(error.message, token.line, token.column, len(token.text)) from None

    # Expressions

    def expression(self) -> Expression:
        """One expression, bitwise operators and concatenations included."""
        parts = [self._with_bits(self._primary())]
        while self.reader.take_if("."):
            parts.append(self._primary())
        return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))

    def _with_bits(self, inner: Expression) -> Expression:
        while self.reader.peek().text in _BITWISE and inner.fields[0].width:
            operator = _BITWISE[self.reader.next().text]
            inner = Bitwise(inner, operator, int(self._constant(inner.fields[0])[0]))
        return inner

    def _primary(self) -> Expression:
        if self.reader.take_if("numgen"):
            return self._numgen()
        first = self.reader.next()
        words = [first.text]
        if first.text == "fib":
            return self._fib(first)
        if words[0] == "ct" and self.reader.peek().text in ("original", "reply"):
            words.append(self.reader.next().text)
            if self.reader.peek().text in ("ip", "ip6"):
                words.append(self.reader.next().text)
        name = _SHORT.get(words[0], words[0])
        if name not in FIELDS and first.text in _EXPRESSION_WORDS:
            name = " ".join([*words, self.reader.next().text])
        name = name.removeprefix("meta ") if name.removeprefix("meta ") in FIELDS else name
        if name not in FIELDS:
            raise self.reader.unexpected(back=1)
        self.layer = {"ip": "ip", "icmp": "ip", "ip6": "ip6", "icmpv6": "ip6"}.get(name.split()[0], self.layer)
        return FIELDS[name]

    def _fib(self, first: Token) -> Expression:
        words = ["fib"]
        while self.reader.peek().text in ("saddr", "daddr", ".", "iif", "oif", "mark"):
            words.append(self.reader.next().text)
        words.append(self.reader.next().text)
        name = " ".join(words)
        if name not in FIELDS:
            raise NftError(
                f"{name}: not built: fib saddr|daddr [. iif|oif] type is", first.line, first.column, len(first.text)
            )
        return FIELDS[name]

    def _numgen(self) -> Expression:
        kind = self.reader.next().text
        if kind not in ("random", "inc"):
            raise self.reader.unexpected(back=1)
        self.reader.expect("mod")
        modulus = self.reader.number()
        if not modulus:
            raise self.reader.unexpected(back=1)
        return NumberGenerator(kind, modulus, self.reader.number() if self.reader.take_if("offset") else 0)

    def _value(self, datatype: Datatype) -> Expression:
        """What a mark is set to: a constant, an expression, or what a map holds."""
        token = self.reader.peek()
        if token.text not in _SHORT and token.text not in _EXPRESSION_WORDS:
            low, _ = self._constant(datatype)
            return Constant((datatype,), (low,))
        inner = self.expression()
        return self._mapped(inner) if self.reader.peek().text == "map" else inner

    def _mapped(self, key: Expression) -> Expression:
        self.reader.expect("map")
        token = self.reader.peek()
        members = self._members(key.fields, (types.IPV4_ADDR if self.family != "ip6" else types.IPV6_ADDR,))
        found = members.find()
        if found is None:
            raise NftError("No such file or directory", token.line, token.column, len(token.text) + 1)
        return Mapped(key, members, found.data, self.print_set)

    def _members(self, fields: tuple[Datatype, ...], data: tuple[Datatype, ...]) -> SetReference:
        token = self.reader.peek()
        if token.kind == "set":
            name = self.reader.next().text
            found = self.find_set(name)
            if found is None:
                raise NftError("No such file or directory", token.line, token.column, len(token.text) + 1)
            if [each.width for each in found.fields] != [each.width for each in fields]:
                raise NftError("datatype mismatch", token.line, token.column, len(token.text))
            return SetReference(lambda: self.find_set(name), name)
        holder = NftSet("", fields, data, ("interval",))
        for element in SetParser(self.reader, fields, data, self).elements():
            holder.add(element, 0)
        return SetReference(lambda: holder)

    # Statements that begin with a word of their own

    def counter(self) -> Statement:
        """`counter [packets N bytes M]`."""
        count = Count()
        if self.reader.take_if("packets"):
            packets = self.reader.number()
            self.reader.expect("bytes")
            count.counter.set(packets, self.reader.number())
        return count

    def reject(self) -> Statement:
        """`reject [with …]`."""
        if not self.reader.take_if("with"):
            kind = {"ip": "icmp", "ip6": "icmpv6"}.get(self.layer or self.family, "icmpx")
            return Refuse(kind, "port-unreachable", is_default=not self.layer or self.family != "inet")
        kind = self.reader.next().text
        if kind == "tcp":
            self.reader.expect("reset")
            return Refuse("tcp", "", is_default=False, implies_protocol=self.family != "inet")
        self.reader.take_if("type")
        code = self.reader.next().text
        known = {"icmp": tuple(ICMP_CODES), "icmpv6": tuple(ICMPV6_CODES), "icmpx": _ICMPX}.get(kind, ())
        if code not in known:
            raise self.reader.unexpected(back=1)
        is_default = code == "port-unreachable" and kind == {"ip": "icmp", "ip6": "icmpv6"}.get(self.family, "icmpx")
        return Refuse(kind, code, is_default=is_default)

    def limit(self) -> Statement:
        """`limit rate [over] N/unit [burst M packets]`."""
        self.reader.expect("rate")
        is_over = self.reader.take_if("over")
        token = self.reader.next()
        rate, slash, unit = token.text.partition("/")
        if not rate.isdigit() or not int(rate) or not slash or unit not in UNITS:
            raise self.reader.unexpected(back=1)
        burst = 5
        if self.reader.take_if("burst"):
            burst = self.reader.number()
            self.reader.expect("packets")
        return Limit(int(rate), unit, burst, is_over)

    def log(self) -> Statement:
        """`log [prefix "…"] [level …]`."""
        prefix = self.reader.text() if self.reader.take_if("prefix") else ""
        return Log(prefix, self.reader.text() if self.reader.take_if("level") else "")

    def touch(self, kind: str) -> Statement:
        """`add|update|delete @set { key [timeout …] [: data] }`."""
        token = self.reader.next()
        if token.kind != "set" or self.find_set(token.text) is None:
            raise self.reader.unexpected(back=1)
        name = token.text
        self.reader.expect("{")
        key = self.expression()
        timeout_text = self.reader.text() if self.reader.take_if("timeout") else ""
        data = self.expression() if self.reader.take_if(":") else None
        self.reader.expect("}")
        timeout = seconds(timeout_text) if timeout_text else 0
        return Touch(kind, SetReference(lambda: self.find_set(name), name), key, timeout, data, timeout_text)

    def translate(self, kind: str) -> Statement:
        """`dnat`, `snat`, `masquerade` and `redirect` with what follows."""
        family = self.reader.take_of(("ip", "ip6"))
        self.reader.take_if("addr") and self.reader.take_if(".") and self.reader.take_if("port")
        address, high, ports = None, None, None
        if self.reader.take_if("to"):
            address, high, ports = self._target(kind, family)
        elif kind in ("dnat", "snat"):
            raise self.reader.unexpected()
        flags: list[str] = []
        while self.reader.peek().text in _NAT_FLAGS:
            flags.append(self.reader.next().text)
            self.reader.take_if(",")
        shown = family or ("ip" if self.family == "ip" else "ip6" if self.family == "ip6" else "")
        if isinstance(address, Constant | None) and self.family != "inet":
            shown = ""
        return Translate(kind, address, high, ports, tuple(flags), shown)

    def _target(self, kind: str, family: str) -> tuple[Expression | None, int | None, tuple[int, int] | None]:
        if self.reader.take_if(":"):
            return None, None, self._ports()
        if kind in ("masquerade", "redirect"):
            raise self.reader.unexpected()
        token = self.reader.peek()
        if token.text in _EXPRESSION_WORDS or token.text in _SHORT:
            return self._mapped(self.expression()), None, None
        is_bracketed = self.reader.take_if("[")
        is_ipv6 = family == "ip6" or self.family == "ip6" or ":" in self.reader.peek().text
        datatype = types.IPV6_ADDR if is_ipv6 else types.IPV4_ADDR
        low, high = self._checked(datatype.parse_range)
        if is_bracketed:
            self.reader.expect("]")
        ports = self._ports() if self.reader.take_if(":") else None
        return Constant((datatype,), (low,)), None if high == low else int(high), ports

    def _ports(self) -> tuple[int, int]:
        low, high = self._checked(types.INET_SERVICE.parse_range)
        return int(low), int(high)


_EXPRESSION_WORDS: Final = tuple(dict.fromkeys([*(name.split()[0] for name in FIELDS), "numgen", "meta"]))
_STATEMENTS: Final[dict[str, Callable[[RuleParser], Statement]]] = {
    "counter": RuleParser.counter,
    "reject": RuleParser.reject,
    "limit": RuleParser.limit,
    "log": RuleParser.log,
    "notrack": lambda _: NoTrack(),
    "add": lambda parser: parser.touch("add"),
    "update": lambda parser: parser.touch("update"),
    "delete": lambda parser: parser.touch("delete"),
    "dnat": lambda parser: parser.translate("dnat"),
    "snat": lambda parser: parser.translate("snat"),
    "masquerade": lambda parser: parser.translate("masquerade"),
    "redirect": lambda parser: parser.translate("redirect"),
}


def _element(ranges: tuple[tuple[Scalar, Scalar], ...]) -> Element:
    return Element(ranges)
