"""Shell patterns: *, ?, […] in unquoted text (POSIX.1-2017, 2.13). Pure."""

import re
from collections.abc import Iterable

from podwire.services.node.files import normal
from podwire.services.node.process import FileView

Fragment = tuple[str, bool]
"""Text, and whether it is quoted."""


def expression(fragments: Iterable[Fragment], *, shortest: bool = False, within: str = ".") -> str:
    """The regular expression of a pattern. `within` is what a wildcard matches."""
    star = f"{within}*?" if shortest else f"{within}*"
    return "".join(re.escape(text) if quoted else _unquoted(text, star, within) for text, quoted in fragments)


def _unquoted(text: str, star: str, within: str) -> str:
    result, at = "", 0
    while at < len(text):
        letter = text[at]
        end = text.find("]", at + 3 if text[at + 1 : at + 2] == "!" else at + 2) if letter == "[" else -1
        if letter == "*":
            result += star
        elif letter == "?":
            result += within
        elif end > 0:
            result += _bracket(text[at + 1 : end])
            at = end
        else:
            result += re.escape(letter)
        at += 1
    return result


def _bracket(inner: str) -> str:
    negated = inner[:1] in ("!", "^")
    body = inner[1:] if negated else inner
    safe = body.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("]", "\\]")
    text = f"[{'^' if negated else ''}{safe}]"
    try:
        re.compile(text)
    except re.error:
        return re.escape(f"[{inner}]")
    return text


def matches(fragments: Iterable[Fragment], text: str) -> bool:
    """Whether the whole text fits."""
    return re.fullmatch(expression(fragments), text, re.DOTALL) is not None


def has_wildcard(fragments: Iterable[Fragment]) -> bool:
    """Whether anything unquoted is special."""
    return any(not quoted and any(letter in text for letter in "*?[") for text, quoted in fragments)


def paths(fragments: list[Fragment], files: FileView, folder: str) -> list[str]:
    """The paths that fit, in order; none if none does."""
    found = [""]
    levels = _levels(fragments)
    for number, level in enumerate(levels):
        last = number == len(levels) - 1
        found = [path + name for path in found for name in _names(level, path, files, folder, last)]
    return found


def _levels(fragments: list[Fragment]) -> list[list[Fragment]]:
    levels: list[list[Fragment]] = [[]]
    for text, quoted in fragments:
        first, *rest = text.split("/")
        levels[-1].append((first, quoted))
        levels += [[(each, quoted)] for each in rest]
    return levels


def _names(level: list[Fragment], path: str, files: FileView, folder: str, last: bool) -> list[str]:
    literal = "".join(text for text, _ in level)
    tail = "" if last else "/"
    place = normal(path or ".", folder) if not path.startswith("/") else normal(path)
    if not has_wildcard(level):
        there = normal(f"{place}/{literal}")
        is_there = files.is_folder(there) or (last and files.read(there) is not None)
        return [literal + tail] if is_there or not literal else []
    wanted = re.compile(expression(level), re.DOTALL)
    return [
        name + tail
        for name in files.entries(place)
        if wanted.fullmatch(name)
        and (not name.startswith(".") or literal.startswith("."))
        and (last or files.is_folder(f"{place}/{name}"))
    ]
