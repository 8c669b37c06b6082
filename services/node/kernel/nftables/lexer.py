"""Words of an nft text (nftables src/scanner.l): names, numbers, addresses, strings and punctuation."""

import re
from typing import Final, NamedTuple

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
  | (?P<junk>.)
""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A word; `kind` is word, string, set, mark or end."""

    kind: str
    text: str
    line: int
    column: int


def tokens(text: str) -> list[Token]:
    """All words, with an end at the end; NftError for what is none."""
    found: list[Token] = []
    line, before = 1, -1
    """Where the line's first column is, less one."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "word" or kind == "mark" or kind == "string" or kind == "set":
            found.append(Token(kind, match[kind], line, match.start() - before))
        elif kind == "end":
            found.append(Token(kind, match[0], line, match.start() - before))
        elif kind == "ipv6":
            found.append(Token("word", match[0], line, match.start() - before))
        elif kind == "junk":
            raise NftError(f"syntax error, unexpected junk {match[0]!r}", line, match.start() - before)
        if kind in ("end", "blank") and match[0][-1] == "\n":
            line, before = line + 1, match.end() - 1
    found.append(Token("end", "", line, len(text) - before))
    return found
