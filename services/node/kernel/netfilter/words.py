"""Splitting and quoting of iptables-save lines (iptables/xshared.c add_param_to_argv, xtables_save_string)."""

from typing import Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError

_PLAIN: Final = frozenset("_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def split(line: str) -> list[str]:
    """The words of a line; double quotes hold blanks, a backslash inside them escapes."""
    first, *rest = line.split('"')
    if not rest:
        return line.split()
    words = first.split()
    if len(rest) % 2 or "\\" in line or not _stand_alone([first, *rest[1::2]]):
        return _spelled(line)
    for quoted, between in zip(rest[::2], rest[1::2], strict=True):
        words.append(quoted)
        words += between.split()
    return words


def _stand_alone(between: list[str]) -> bool:
    """Whether blanks stand on both sides of everything that is quoted, given what is not."""
    ends = all(text[-1:] in " \t" for text in between[:-1])
    return ends and all(text[:1] in " \t" for text in between[1:])


def _spelled(line: str) -> list[str]:
    """The words of a line, letter by letter."""
    words: list[str] = []
    word: list[str] = []
    begun = quoted = escaped = False
    for letter in line:
        if quoted and not escaped and letter == "\\":
            escaped = True
        elif letter == '"' and not escaped:
            quoted, begun = not quoted, True
        elif letter in " \t\n" and not quoted:
            if begun:
                words.append("".join(word))
            word, begun = [], False
        else:
            word.append(letter)
            begun, escaped = True, False
    if quoted:
        raise NetfilterError("unterminated quote")
    if begun:
        words.append("".join(word))
    return words


def quote(text: str) -> str:
    """A word as iptables-save prints it: bare if it may be, else quoted and escaped."""
    if text and all(letter in _PLAIN for letter in text):
        return text
    return '"' + "".join("\\" + letter if letter in "\"\\'" else letter for letter in text) + '"'


def parse_number(text: str, low: int, high: int, what: str) -> int:
    """A decimal or 0x number within bounds; NetfilterError otherwise."""
    try:
        number = int(text, 16) if text[:2].lower() == "0x" else int(text, 10)
    except ValueError:
        number = -1
    if not text.isascii() or "_" in text or not low <= number <= high:
        raise NetfilterError(f'invalid {what} "{text}"')
    return number


_SERVICES: Final = {"domain": 53, "http": 80, "https": 443, "ssh": 22, "ntp": 123}


def parse_port(text: str) -> int:
    """A port number or one of a few service names."""
    if text in _SERVICES:
        return _SERVICES[text]
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        raise NetfilterError(f"invalid port/service `{text}' specified")
    return int(text)


def parse_port_range(text: str) -> tuple[int, int]:
    """`80`, `80:90`, `:90` or `80:`, both ends included."""
    low, colon, high = text.partition(":")
    if not colon:
        return (port := parse_port(low)), port
    first, last = parse_port(low) if low else 0, parse_port(high) if high else 65535
    if first > last:
        raise NetfilterError("invalid portrange (min > max)")
    return first, last


def format_port_range(low: int, high: int) -> str:
    """The text of a port range."""
    return str(low) if low == high else f"{low}:{high}"


def parse_value_mask(text: str, what: str) -> tuple[int, int]:
    """`value[/mask]`, the mask defaulting to all ones."""
    value, slash, mask = text.partition("/")
    number = parse_number(value, 0, 0xFFFFFFFF, what)
    return number, parse_number(mask, 0, 0xFFFFFFFF, what) if slash else 0xFFFFFFFF
