"""Rule specifications: the words after `-A CHAIN` (iptables/iptables.c, xtables_parse)."""

from collections.abc import Callable, Sequence
from typing import Final

from podwire.proto.packet.addresses import IPV6, is_ipv6, mask_for, parse_address, parse_prefix
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches import MATCHES, MATCHES6
from podwire.services.node.kernel.netfilter.matches.base import Match
from podwire.services.node.kernel.netfilter.rule import PROTOCOLS, Prefix, Rule
from podwire.services.node.kernel.netfilter.targets import TARGETS, TARGETS6
from podwire.services.node.kernel.netfilter.targets.base import Target
from podwire.services.node.kernel.netfilter.words import parse_number

BUILTIN_CHAINS: Final = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}


class _Parser:
    """One pass over the words of one rule."""

    __slots__ = ("at", "inverted", "is_ipv6", "known_matches", "known_targets", "rule", "table", "words")

    def __init__(self, words: Sequence[str], table: str, *, is_ipv6: bool) -> None:
        self.words = words
        self.table = table
        self.is_ipv6 = is_ipv6
        self.known_matches = MATCHES6 if is_ipv6 else MATCHES
        self.known_targets = TARGETS6 if is_ipv6 else TARGETS
        self.at = 0
        self.rule = Rule()
        self.inverted = False

    def run(self) -> Rule:
        count = len(self.words)
        while self.at < count:
            word = self.words[self.at]
            self.at += 1
            handler = _OPTIONS.get(word)
            if handler is not None:
                handler(self, word)
                self.inverted = False
            elif word[:2] == "--":
                self._extension(word[2:])
                self.inverted = False
            elif word != "!":
                raise NetfilterError(f"Bad argument `{word}'")
            elif self.inverted:
                raise NetfilterError("multiple consecutive ! not allowed")
            else:
                self.inverted = True
        if self.inverted:
            raise NetfilterError("nothing appropriate following !")
        for match in self.rule.matches:
            match.finish()
        if self.rule.target is not None:
            self.rule.target.finish()
            self._check_protocol(self.rule.target)
        return self.rule

    def _check_protocol(self, target: Target) -> None:
        protocol = self.rule.protocol
        if target.protocols and (protocol is None or protocol[1] or protocol[0] not in target.protocols):
            raise NetfilterError("Invalid argument. Run `dmesg' for more information.")

    def _take(self, option: str) -> str:
        if self.at >= len(self.words):
            raise NetfilterError(f'option "{option}" requires an argument')
        self.at += 1
        return self.words[self.at - 1]

    def _extension(self, option: str) -> None:
        target = self.rule.target
        if target is not None and option in target.options:
            if self.inverted:
                raise NetfilterError(f'unexpected "!" flag before --{option}')
            return target.accept(option, self._values(f"--{option}", target.options[option]))
        for match in reversed(self.rule.matches):
            if option in match.options:
                return match.accept(option, self._values(f"--{option}", match.options[option]), self.inverted)
        match = self._implicit(option)
        return match.accept(option, self._values(f"--{option}", match.options[option]), self.inverted)

    def _values(self, option: str, count: int) -> list[str]:
        if count == 1 and self.at < len(self.words) and self.words[self.at] != "!":
            self.at += 1
            return [self.words[self.at - 1]]
        if count and self.at < len(self.words) and self.words[self.at] == "!" and not self.inverted:
            self.at += 1
            self.inverted = True  # the old way round: --dport ! 80
        return [self._take(option) for _ in range(count)]

    def _implicit(self, option: str) -> Match:
        """`-p tcp --dport` loads the tcp match by itself."""
        names = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 132: "sctp"}
        name = names.get(self.rule.protocol[0] if self.rule.protocol else 0)
        kind = self.known_matches.get(name or "")
        loaded = any(match.name == name for match in self.rule.matches)
        if kind is None or option not in kind.options or loaded:
            raise NetfilterError(f'unknown option "--{option}"')
        match = kind()
        self.rule.matches.append(match)
        return match

    def match(self, word: str) -> None:
        name = self._take(word)
        if name not in self.known_matches:
            raise NetfilterError(f"Couldn't load match `{name}':No such file or directory")
        self.rule.matches.append(self.known_matches[name]())

    def jump(self, word: str) -> None:
        name = self._take(word)
        if self.rule.verdict:
            raise NetfilterError("Can't use -j twice" if word in ("-j", "--jump") else "Can't use -g with -j")
        kind = self.known_targets.get(name)
        if kind is None or word in ("-g", "--goto"):
            self.rule.jump, self.rule.goto = name, word in ("-g", "--goto")
            return
        if kind.tables and self.table not in kind.tables:
            raise NetfilterError(f"{name}: only valid in the {kind.tables[0]} table")
        self.rule.target = kind()

    def source(self, word: str) -> None:
        self.rule.source = self._prefix(self._operand(word))

    def destination(self, word: str) -> None:
        self.rule.destination = self._prefix(self._operand(word))

    def _operand(self, word: str) -> str:
        return self._values(word, 1)[0]

    def _prefix(self, text: str) -> Prefix | None:
        address, mask = parse_mask(text)
        if is_ipv6(address) != self.is_ipv6:
            raise NetfilterError(f"host/network `{text}' not found")
        if mask in (0, IPV6) and not self.inverted:
            return None
        return Prefix(address & mask, mask, self.inverted)

    def in_interface(self, word: str) -> None:
        self.rule.in_interface = self._interface(word)

    def out_interface(self, word: str) -> None:
        self.rule.out_interface = self._interface(word)

    def _interface(self, word: str) -> tuple[str, bool] | None:
        name = self._operand(word)
        if len(name) > 15:
            raise NetfilterError(f"interface name `{name}' must be shorter than IFNAMSIZ (15)")
        return None if name == "+" and not self.inverted else (name, self.inverted)

    def protocol(self, word: str) -> None:
        name = self._operand(word).lower()
        number = PROTOCOLS[name] if name in PROTOCOLS else parse_number(name, 0, 255, "protocol")
        if number == 0 and self.inverted:
            raise NetfilterError("rule would never match protocol")
        self.rule.protocol = (number, self.inverted) if number else None

    def fragment(self, word: str) -> None:
        if self.is_ipv6:
            raise NetfilterError("`-f' is not supported in IPv6, use -m frag instead")
        self.rule.fragment = not self.inverted

    def counters(self, word: str) -> None:
        packets = parse_number(self._take(word), 0, 2**64, "counter")
        self.rule.counter.set(packets, parse_number(self._take(word), 0, 2**64, "counter"))


_OPTIONS: Final[dict[str, Callable[[_Parser, str], None]]] = {
    "-m": _Parser.match,
    "--match": _Parser.match,
    "-j": _Parser.jump,
    "--jump": _Parser.jump,
    "-g": _Parser.jump,
    "--goto": _Parser.jump,
    "-s": _Parser.source,
    "--source": _Parser.source,
    "--src": _Parser.source,
    "-d": _Parser.destination,
    "--destination": _Parser.destination,
    "--dst": _Parser.destination,
    "-i": _Parser.in_interface,
    "--in-interface": _Parser.in_interface,
    "-o": _Parser.out_interface,
    "--out-interface": _Parser.out_interface,
    "-p": _Parser.protocol,
    "--protocol": _Parser.protocol,
    "--proto": _Parser.protocol,
    "-f": _Parser.fragment,
    "--fragment": _Parser.fragment,
    "-c": _Parser.counters,
    "--set-counters": _Parser.counters,
}


def parse_rule(words: Sequence[str], table: str, *, is_ipv6: bool = False) -> Rule:
    """A rule from its words; NetfilterError in the tool's own words if it is none."""
    return _Parser(words, table, is_ipv6=is_ipv6).run()


def parse_mask(text: str) -> tuple[int, int]:
    """(address, mask) of `10.0.0.0/8` or `10.0.0.0/255.0.0.0`."""
    address, slash, mask = text.partition("/")
    try:
        if slash and "." in mask:
            return parse_address(address), parse_address(mask)
        number, length = parse_prefix(text)
    except PacketError:
        raise NetfilterError(f"host/network `{text}' not found") from None
    return number, mask_for(number, length)
