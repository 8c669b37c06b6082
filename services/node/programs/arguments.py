"""Command lines as getopt(3) and getopt_long(3) read them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class UsageError(Exception):
    """A command line that the tool refuses; the text is getopt's own, without the program's name."""


@dataclass(slots=True)
class Options:
    """What was given: options in order with their values ("" for flags), and the operands."""

    given: list[tuple[str, str]] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return any(given == name for given, _ in self.given)

    def value(self, name: str, default: str = "") -> str:
        """The last value of an option."""
        return next((value for given, value in reversed(self.given) if given == name), default)

    @property
    def family(self) -> str:
        """ "6" or "4" by -6 or -4, the last of which counts; "" for either."""
        return next((given for given, _ in reversed(self.given) if given in ("4", "6")), "")

    def values(self, name: str) -> list[str]:
        """All values of an option, in order."""
        return [value for given, value in self.given if given == name]

    def count(self, name: str) -> int:
        """How often an option was given."""
        return len(self.values(name))


class _Scanner:
    def __init__(self, words: Sequence[str], short: str, long: Mapping[str, str], permute: bool) -> None:
        self._words, self._at = list(words), 0
        self._flags = {letter for letter in short if letter != ":"}
        self._valued = {short[at - 1] for at, letter in enumerate(short) if letter == ":"}
        self._long, self._permute = long, permute
        self.options = Options()

    def run(self) -> Options:
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "--":
                break
            if word.startswith("--"):
                self._long_option(word[2:])
            elif word.startswith("-") and word != "-":
                self._cluster(word[1:])
            elif self._permute:
                self.options.operands.append(word)
            else:
                self._at -= 1
                break
        self.options.operands += self._words[self._at :]
        return self.options

    def _cluster(self, letters: str) -> None:
        for at, letter in enumerate(letters):
            if letter not in self._flags:
                raise UsageError(f"invalid option -- '{letter}'")
            if letter in self._valued:
                value = letters[at + 1 :] or self._next(f"option requires an argument -- '{letter}'")
                self.options.given.append((letter, value))
                return
            self.options.given.append((letter, ""))

    def _next(self, complaint: str) -> str:
        if self._at >= len(self._words):
            raise UsageError(complaint)
        self._at += 1
        return self._words[self._at - 1]

    def _long_option(self, text: str) -> None:
        name, equals, value = text.partition("=")
        meaning = self._long.get(name)
        if meaning is None:
            raise UsageError(f"unrecognized option '--{name}'")
        if meaning.endswith(":"):
            value = value if equals else self._next(f"option '--{name}' requires an argument")
        elif equals:
            raise UsageError(f"option '--{name}' doesn't allow an argument")
        self.options.given.append((meaning.rstrip(":"), value))


def parse_options(
    words: Sequence[str], short: str, long: Mapping[str, str] | None = None, *, permute: bool = True
) -> Options:
    """Reads options and operands. `short` is getopt's letters; `long` maps a long name to the name it is kept under,
    with a colon at its end if it takes a value. Without `permute` the first operand ends the options.
    Raises UsageError."""
    return _Scanner(words, short, long or {}, permute).run()
