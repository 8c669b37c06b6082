"""Words of an nft text (nftables src/scanner.l): names, numbers, addresses, strings and punctuation."""

import re
from dataclasses import dataclass
from typing import Final

from podwire.services.node.kernel.nftables.errors import NftError

_TOKEN: Final = re.compile(
    r"""
    (?P<blank>[ \t\r]+|\\\n|\#[^\n]*)
  | (?P<end>\n|;)
  | "(?P<string>[^"\n]*)"
  | (?P<ipv6>(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f:.]*(?:/\d+)?(?:-[0-9A-Fa-f:.]+)?)
  | @(?P<set>[A-Za-z0-9_][\w./-]*)
  | (?P<word>[A-Za-z0-9_][\w./*-]*)
  | (?P<mark>!=|==|<=|>=|<<|>>|[{}()\[\],:.<>&|^/+\-=!])
""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word; `kind` is word, string, set, mark or end."""

    kind: str
    text: str
    line: int
    column: int


def tokens(text: str) -> list[Token]:
    """All words, with an end at the end; NftError for what is none."""
    found: list[Token] = []
    at = line_start = 0
    line = 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NftError(f"syntax error, unexpected junk {text[at]!r}", line, at - line_start + 1)
        kind = match.lastgroup or ""
        if kind != "blank":
            name = "word" if kind == "ipv6" else kind
            found.append(Token(name, match.group(kind), line, at - line_start + 1))
        newlines = match.group().count("\n")
        if newlines:
            line, line_start = line + newlines, match.end()
        at = match.end()
    found.append(Token("end", "", line, at - line_start + 1))
    return found
