"""Command lines as cobra and pflag read them. Pure."""

from collections.abc import Mapping, Sequence

from podwire.services.node.programs.arguments import Options, UsageError

_TRUE, _FALSE = ("true", "1", "t", "T", "TRUE", "True"), ("false", "0", "f", "F", "FALSE", "False")


def read_options(words: Sequence[str], flags: Mapping[str, str], *, operands: int = 0) -> Options:
    """Long flags (`--name value`, `--name=value`; a switch, whose default starts with `?`, takes only `=`), with their
    defaults first. Exactly as many operands as said. Raises UsageError."""
    options = Options([(name, default.removeprefix("?")) for name, default in flags.items()])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            options.operands.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name not in flags:
            raise UsageError(f"unknown flag: {word.partition('=')[0]}")
        if flags[name].startswith("?"):
            value = _switch(name, value if equals else "true")
        elif not equals:
            if not rest:
                raise UsageError(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        options.given.append((name, value))
    if len(options.operands) != operands:
        kind = f"accepts {operands} arg(s)" if operands else "accepts at most 0 arg(s)"
        raise UsageError(f"{kind}, received {len(options.operands)}")
    return options


def _switch(name: str, value: str) -> str:
    if value not in _TRUE + _FALSE:
        raise UsageError(f'invalid argument "{value}" for "--{name}" flag: strconv.ParseBool: parsing "{value}"')
    return "true" if value in _TRUE else "false"


def number(options: Options, name: str, *, least: int = 0, most: int = 65535) -> int:
    """A flag's whole number. Raises UsageError."""
    text = options.value(name)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9 or not least <= int(text) <= most:
        raise UsageError(f'invalid argument "{text}" for "--{name}" flag: strconv.ParseInt: parsing "{text}"')
    return int(text)
