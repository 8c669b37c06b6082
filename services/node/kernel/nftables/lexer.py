"""Words of an nft text (nftables src/scanner.l): names, numbers, addresses, strings and punctuation."""

import re
from typing import Final, NamedTuple

from podwire.services.node.kernel.nftables.errors import NftError

_TOKEN: Final = re.compile(
    r"""
    [ \t\r]*(?:(?P<blank>\\\n|\#[^\n]*|\Z)
  | (?P<end>\n|;)
  | (?P<string>"[^"\n]*")
  | (?P<ipv6>(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f:.]*(?:/\d+)?(?:-[0-9A-Fa-f:.]+)?)
  | (?P<set>@[A-Za-z0-9_][\w./-]*)
  | (?P<word>[A-Za-z0-9_][\w./*-]*)
  | (?P<mark>!=|==|<=|>=|<<|>>|[{}()\[\],:.<>&|^/+\-=!])
  | (?P<junk>.))
""",
    re.VERBOSE | re.DOTALL,
)


_KINDS: Final = ["", *("word" if name == "ipv6" else name for name in _TOKEN.groupindex)]
"""By the group that matched: IPv6 addresses are words."""
_ENDING: Final = ("end", "blank")


class Token(NamedTuple):
    """A word; `kind` is word, string, set, mark or end."""

    kind: str
    text: str
    line: int
    column: int


def tokens(text: str) -> list[Token]:
    """All words, with an end at the end; NftError for what is none."""
    found: list[Token] = []
    make, take = tuple.__new__, found.append  # a large ruleset is millions of words
    line, before = 1, -1
    """Where the line's first column is, less one."""
    for match in _TOKEN.finditer(text):
        group = match.lastindex or 0
        kind, word, column = _KINDS[group], match[group], match.start(group) - before
        if kind == "junk":
            raise NftError(f"syntax error, unexpected junk {word!r}", line, column)
        if kind == "string" or kind == "set":
            word = word[1:] if kind == "set" else word[1:-1]
        if kind != "blank":
            take(make(Token, (kind, word, line, column)))
        if kind in _ENDING and match[0][-1:] == "\n":
            line, before = line + 1, match.end() - 1
    found.append(Token("end", "", line, len(text) - before))
    return found
