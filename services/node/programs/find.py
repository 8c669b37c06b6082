"""find: the tests and actions that people use (POSIX.1-2017, find; GNU's -maxdepth, -iname, -delete, -print0)."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError
from podwire.services.node.programs.file_changes import remove_tree
from podwire.services.node.programs.filesystem import exists, is_folder, mode_of, read_file
from podwire.services.node.programs.system import run_command

_DEEPEST: Final = 60
_UNITS: Final = {"": 512, "b": 512, "c": 1, "k": 1024, "M": 1024**2}
_KINDS: Final = ("f", "d", "l")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something found: its name as it is printed, and its absolute path."""

    shown: str
    place: str


Test = Callable[[Process, Entry], bool]


@dataclass(slots=True)
class Action:
    """What is done with what is found. `words` of -exec, run once for all if `together`."""

    kind: str
    words: list[str] = field(default_factory=list)
    together: bool = False
    collected: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Search:
    """A whole call: alternatives, each of tests and actions in order."""

    roots: list[str]
    alternatives: list[list[Test | Action]] = field(default_factory=lambda: [[]])
    most: int = _DEEPEST
    least: int = 0
    code: int = 0


def _kind(process: Process, entry: Entry) -> str:
    if process.files.target(entry.place) is not None:
        return "l"
    return "d" if is_folder(process, entry.place) else "f"


def _named(pattern: str, *, ignore_case: bool, whole_path: bool) -> Test:
    compiled = re.compile(fnmatch.translate(pattern.lower() if ignore_case else pattern))

    def test(process: Process, entry: Entry) -> bool:
        text = entry.shown if whole_path else entry.shown.rstrip("/").rpartition("/")[2] or "/"
        return compiled.match(text.lower() if ignore_case else text) is not None

    return test


def _is_empty(process: Process, entry: Entry) -> bool:
    if _kind(process, entry) == "d":
        return not process.files.entries(entry.place)
    return _kind(process, entry) == "f" and not read_file(process, entry.place)


def _sized(text: str) -> Test:
    match = re.fullmatch(r"([-+]?)(\d{1,9})([bckM]?)", text)
    if match is None:
        raise UsageError(f"invalid number '{text}'")
    sign, count, unit = match.group(1), int(match.group(2)), _UNITS[match.group(3)]

    def test(process: Process, entry: Entry) -> bool:
        size = 4096 if is_folder(process, entry.place) else len(read_file(process, entry.place))
        blocks = -(-size // unit)
        return blocks > count if sign == "+" else blocks < count if sign == "-" else blocks == count

    return test


def _permitted(text: str) -> Test:
    bits = text.lstrip("-/")
    if re.fullmatch("[0-7]{1,4}", bits) is None:
        raise UsageError(f"invalid mode '{text}'")
    wanted = int(bits, 8)

    def test(process: Process, entry: Entry) -> bool:
        mode = mode_of(process, entry.place)
        return mode & wanted == wanted if text[0] == "-" else bool(mode & wanted) if text[0] == "/" else mode == wanted

    return test


def _typed(letter: str) -> Test:
    if letter not in _KINDS:
        raise UsageError(f"unknown argument to -type: {letter}")
    return lambda process, entry: _kind(process, entry) == letter


_VALUED: Final[dict[str, Callable[[str], Test]]] = {
    "-name": lambda text: _named(text, ignore_case=False, whole_path=False),
    "-iname": lambda text: _named(text, ignore_case=True, whole_path=False),
    "-path": lambda text: _named(text, ignore_case=False, whole_path=True),
    "-type": _typed,
    "-size": _sized,
    "-perm": _permitted,
}


def read_search(words: list[str]) -> Search:
    """Reads a command line. Raises UsageError."""
    rest = list(words)
    search = Search([])
    while rest and rest[0][0:1] not in ("-", "!", "("):
        search.roots.append(rest.pop(0))
    search.roots = search.roots or ["."]
    negated = False
    while rest:
        word = rest.pop(0)
        if word in ("!", "-not"):
            negated = not negated
            continue
        if word in ("-o", "-or"):
            search.alternatives.append([])
        elif word not in ("-a", "-and", "-follow", "-xdev", "-depth"):
            found = _primary(search, word, rest)
            if found is not None:
                search.alternatives[-1].append(_not(found) if negated and not isinstance(found, Action) else found)
        negated = False
    return search


def _not(test: Test) -> Test:
    return lambda process, entry: not test(process, entry)


def _primary(search: Search, word: str, rest: list[str]) -> Test | Action | None:
    if word in ("-print", "-print0", "-delete"):
        return Action(word)
    if word == "-empty":
        return _is_empty
    if word in ("-exec", "-ok"):
        return _exec(rest)
    if word in _VALUED or word in ("-maxdepth", "-mindepth"):
        if not rest:
            raise UsageError(f"{word}: option requires an argument")
        value = rest.pop(0)
        if word in _VALUED:
            return _VALUED[word](value)
        if not (value.isascii() and value.isdigit()) or len(value) > 6:
            raise UsageError(f"invalid number '{value}'")
        if word == "-maxdepth":
            search.most = min(int(value), _DEEPEST)
        else:
            search.least = int(value)
        return None
    raise UsageError(f"unrecognized: {word}")


def _exec(rest: list[str]) -> Action:
    words: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == ";" or (word == "+" and words[-1:] == ["{}"]):
            return Action("-exec", words, together=word == "+")
        words.append(word)
    raise UsageError("-exec: no terminating ;")


async def find(process: Process) -> int:
    """find [PATH]… [TEST]… [ACTION]…"""
    try:
        search = read_search(process.arguments[1:])
    except UsageError as error:
        await process.complain(f"find: {error}")
        return 1
    for root in search.roots:
        if not exists(process, root) and process.files.target(normal(root, process.folder)) is None:
            await process.complain(f"find: {root}: No such file or directory")
            search.code = 1
            continue
        await _visit(process, search, Entry(root, normal(root, process.folder)), 0)
    for alternative in search.alternatives:
        for each in alternative:
            if isinstance(each, Action) and each.together and each.collected:
                code = await run_command(process, each.words[:-1] + each.collected, "find")
                search.code = search.code or int(code != 0)
    return search.code


async def _visit(process: Process, search: Search, entry: Entry, depth: int) -> None:
    deleting = any(isinstance(each, Action) and each.kind == "-delete" for each in search.alternatives[0])
    if depth >= search.least and not deleting:
        await _apply(process, search, entry)
    is_real_folder = is_folder(process, entry.place) and (depth == 0 or process.files.target(entry.place) is None)
    if is_real_folder and depth < search.most:
        for name in process.files.entries(entry.place):
            below = Entry(f"{entry.shown.rstrip('/') or ''}/{name}", f"{entry.place.rstrip('/')}/{name}")
            await _visit(process, search, below, depth + 1)
    if depth >= search.least and deleting:
        await _apply(process, search, entry)


async def _apply(process: Process, search: Search, entry: Entry) -> None:
    has_action = any(isinstance(each, Action) for alternative in search.alternatives for each in alternative)
    for alternative in search.alternatives:
        passed = True
        for each in alternative:
            passed = await _act(process, search, each, entry) if isinstance(each, Action) else each(process, entry)
            if not passed:
                break
        if passed:
            if not has_action:
                await process.print(f"{entry.shown}\n")
            return


async def _act(process: Process, search: Search, action: Action, entry: Entry) -> bool:
    match action.kind:
        case "-print":
            await process.print(f"{entry.shown}\n")
        case "-print0":
            await process.print(f"{entry.shown}\0")
        case "-delete":
            try:
                remove_tree(process, entry.place)
            except FileError as error:
                await process.complain(f"find: {entry.shown}: {error.strerror}")
                search.code = 1
        case _ if action.together:
            action.collected.append(entry.shown)
        case _:
            words = [word.replace("{}", entry.shown) for word in action.words]
            return await run_command(process, words, "find") == 0
    return True
