"""Walking through the words of an nft text."""

from collections.abc import Sequence
from typing import Final

from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.lexer import Token

KEYWORDS: Final = frozenset(
    (
        "table",
        "chain",
        "set",
        "map",
        "element",
        "rule",
        "ruleset",
        "add",
        "create",
        "insert",
        "delete",
        "flush",
        "replace",
        "list",
        "type",
        "hook",
        "priority",
        "policy",
        "flags",
        "timeout",
        "size",
        "elements",
        "comment",
        "accept",
        "drop",
        "return",
        "continue",
        "jump",
        "goto",
        "counter",
        "packets",
        "bytes",
        "log",
        "prefix",
        "level",
        "limit",
        "rate",
        "burst",
        "over",
        "reject",
        "with",
        "reset",
        "dnat",
        "snat",
        "masquerade",
        "redirect",
        "to",
        "vmap",
        "ip",
        "ip6",
        "inet",
        "tcp",
        "udp",
        "sctp",
        "th",
        "icmp",
        "icmpv6",
        "meta",
        "ct",
        "fib",
        "numgen",
        "mark",
        "iif",
        "oif",
        "iifname",
        "oifname",
        "saddr",
        "daddr",
        "sport",
        "dport",
        "protocol",
        "ttl",
        "length",
        "state",
        "status",
        "direction",
        "original",
        "reply",
        "random",
        "mod",
        "offset",
        "handle",
        "index",
        "position",
        "notrack",
        "update",
    )
)
"""Words that nft's grammar knows: errors name these, and call every other word a string."""


class Reader:
    """Tokens and a place among them."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._end = len(tokens) - 1
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one after it; the last stays the end."""
        return self._tokens[min(self._at + ahead, self._end) if ahead else self._at]

    def next(self) -> Token:
        """Take the next token."""
        token = self._tokens[self._at]
        if self._at < self._end:
            self._at += 1
        return token

    def last(self) -> Token:
        """The token that was taken last."""
        return self._tokens[max(self._at - 1, 0)]

    def is_done(self) -> bool:
        """Whether everything was taken."""
        return self._at >= self._end

    def at_end(self) -> bool:
        """Whether a line or block ends here."""
        token = self.peek()
        return token.kind == "end" or token.text == "}"

    def skip_ends(self) -> None:
        """Skip ends of lines and semicolons."""
        while self._tokens[self._at].kind == "end" and self._at < self._end:
            self._at += 1

    def skip_newlines(self) -> None:
        """Skip ends of lines inside braces, where they mean nothing."""
        while self.peek().kind == "end" and self.peek().text == "\n":
            self.next()

    def take_if(self, text: str) -> bool:
        """Take a word or mark if it is the next."""
        token = self._tokens[self._at]
        if token.text == text and token.kind in ("word", "mark"):
            self.next()
            return True
        return False

    def take_of(self, texts: Sequence[str]) -> str:
        """Take the next token if it is one of these; its text or ""."""
        token = self.peek()
        if token.kind in ("word", "mark") and token.text in texts:
            return self.next().text
        return ""

    def expect(self, text: str) -> None:
        """Take a certain word or mark; NftError if it is not there."""
        if not self.take_if(text):
            raise self.unexpected()

    def text(self) -> str:
        """Take a word or a string; NftError for anything else."""
        token = self.peek()
        if token.kind not in ("word", "string"):
            raise self.unexpected()
        return self.next().text

    def number(self) -> int:
        """Take a decimal or hexadecimal number; NftError for anything else."""
        token = self.next()
        try:
            return int(token.text, 0)
        except ValueError:
            raise self.unexpected(back=1) from None

    def unexpected(self, back: int = 0) -> NftError:
        """The error that the next token (or one before it) is."""
        token = self._tokens[max(self._at - back, 0)]
        what = {"\n": "newline", ";": "semicolon", "": "end of file"}.get(token.text, token.text)
        what = "string" if token.kind == "string" or (token.kind == "word" and what not in KEYWORDS) else what
        quoted = f"'{what}'" if token.kind == "mark" else what
        return NftError(f"syntax error, unexpected {quoted}", token.line, token.column, max(len(token.text), 1))
