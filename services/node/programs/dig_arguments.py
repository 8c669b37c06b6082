"""The command lines of dig and host. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import dns.exception
import dns.rdatatype

from podwire.services.node.network.resolv_conf import is_address
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.nslookup import reverse_name

_DEFAULTS: Final = {
    **dict.fromkeys(("cmd", "comments", "question", "answer", "authority", "additional", "stats"), True),
    **dict.fromkeys(("recurse", "edns"), True),
    **dict.fromkeys(("short", "tcp", "search", "ignore"), False),
}
_OTHER_NAMES: Final = {"vc": "tcp", "rec": "recurse", "rdflag": "recurse", "showsearch": "search", "defname": "search"}
_IGNORED: Final = ("ttlid", "cookie", "adflag", "cdflag", "class", "crypto", "idnin", "idnout", "badcookie", "fail")
_USAGE: Final = (
    "Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}\n"
    "            {global-d-opt} host [@local-server] {local-d-opt}\n"
    "            [ host [@local-server] {local-d-opt} [...]]\n\n"
    'Use "dig -h" (or "dig -h | more") for complete list of options'
)
_HOST_USAGE: Final = (
    "Usage: host [-aCdilrTvVw] [-c class] [-N ndots] [-t type] [-W time]\n"
    "            [-R number] [-m flag] [-p port] hostname [server]"
)
_MOST_QUERIES: Final = 100


class BadQuery(ValueError):
    """A command line that is refused, with what is printed."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question and how it is asked; `timeout` in seconds."""

    name: str = "."
    kind: str = "A"
    port: int = 53
    timeout: int = 5
    tries: int = 3
    options: dict[str, bool] = field(default_factory=lambda: dict(_DEFAULTS))

    def of_kind(self, kind: str) -> "Query":
        """The same for another record type."""
        return replace(self, kind=kind)


@dataclass(frozen=True, slots=True)
class DigCall:
    """All questions, and the server ("" for resolv.conf's)."""

    queries: tuple[Query, ...]
    server: str = ""
    version: bool = False


def _is_type(text: str) -> bool:
    try:
        dns.rdatatype.from_text(text)
    except (dns.exception.DNSException, ValueError):
        return False
    return True


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or not 0 < int(text) <= most:
        raise BadQuery(f"dig: Couldn't parse '{text}': bad number\n{_USAGE}")
    return int(text)


def read_dig(words: Sequence[str]) -> DigCall:
    """Reads dig's command line. Raises BadQuery."""
    reader = _DigReader()
    reader.read(list(words))
    return reader.call()


class _DigReader:
    def __init__(self) -> None:
        self._common, self._queries, self._server = Query(), list[Query](), ""
        self._version = False

    def call(self) -> DigCall:
        queries = self._queries or [replace(self._common, name=".", kind="NS")]
        if len(queries) > _MOST_QUERIES:
            raise BadQuery(f"dig: more than {_MOST_QUERIES} names")
        return DigCall(tuple(queries), self._server, self._version)

    def read(self, rest: list[str]) -> None:
        """Takes every word; types and options of a name go to it, those before the first name to all."""
        while rest:
            word = rest.pop(0)
            if word.startswith("@"):
                self._server = word[1:]
            elif word.startswith("+"):
                self._option(word[1:])
            elif word.startswith("-") and len(word) > 1:
                self._dash(word[1], word[2:], rest)
            elif word.upper() in ("IN", "CH", "HS"):
                if word.upper() != "IN":
                    raise BadQuery(f"dig: class {word.upper()} is not built: IN is")
            elif _is_type(word) and "." not in word:
                self._change(kind=word.upper())
            else:
                self._queries.append(replace(self._common, name=word, options=dict(self._common.options)))

    def _change(self, **changes: str | int) -> None:
        if self._queries:
            self._queries[-1] = replace(self._queries[-1], **changes)  # type: ignore[arg-type]  # names are fields'
        else:
            self._common = replace(self._common, **changes)  # type: ignore[arg-type]  # names are fields'

    def _dash(self, letter: str, value: str, rest: list[str]) -> None:
        if letter in "46rum":
            return
        if letter == "v":
            self._version = True
            return
        if letter not in "xtpqbck":
            raise BadQuery(f"Invalid option: -{letter}{value}\n{_USAGE}")
        if not value and not rest:
            raise BadQuery(f"Invalid option: -{letter}\n{_USAGE}")
        value = value or rest.pop(0)
        if letter == "x":
            if not is_address(value):
                raise BadQuery(f"dig: Invalid IP address {value}")
            self._queries.append(replace(self._common, name=reverse_name(value), kind="PTR"))
        elif letter == "q":
            self._queries.append(replace(self._common, name=value))
        elif letter == "t":
            if not _is_type(value):
                raise BadQuery(f";; Warning, ignoring invalid type {value}")
            self._change(kind=value.upper())
        elif letter == "p":
            self._change(port=_number(value, 65535))
        else:
            raise BadQuery(f"dig: option -{letter} is not built")

    def _option(self, text: str) -> None:
        name, _, value = text.lower().partition("=")
        if name in ("time", "timeout"):
            self._change(timeout=_number(value, 3600))
        elif name in ("tries", "retry"):
            self._change(tries=_number(value, 100) + (name == "retry"))
        else:
            self._switch(text, name)

    def _switch(self, text: str, name: str) -> None:
        wanted = not name.startswith("no")
        name = name.removeprefix("no")
        name = _OTHER_NAMES.get(name, name)
        query = self._queries[-1] if self._queries else self._common
        if name == "all":
            for each in ("cmd", "comments", "question", "answer", "authority", "additional", "stats"):
                query.options[each] = wanted
        elif name in query.options:
            query.options[name] = wanted
        elif name not in _IGNORED:
            known = name in ("trace", "multiline", "dnssec", "nssearch", "identify", "qr", "subnet", "bufsize", "yaml")
            if wanted or not known:
                raise BadQuery(f"dig: +{name} is not built" if known else f"Invalid option: +{text}\n{_USAGE}")


def read_host(words: Sequence[str]) -> tuple[Query, str, list[str]]:
    """Reads host's command line: the question, the server, the record types. Raises BadQuery."""
    try:
        options = parse_options(words, "avTr46t:W:R:p:c:N:")
    except UsageError as error:
        raise BadQuery(f"host: {error}\n{_HOST_USAGE}") from None
    if not 1 <= len(options.operands) <= 2:
        raise BadQuery(_HOST_USAGE)
    kinds = ["A", "AAAA", "MX"]
    if kind := options.value("t", "ANY" if "a" in options else ""):
        if not _is_type(kind):
            raise BadQuery(f"host: invalid type: {kind}")
        kinds = [kind.upper()]
    query = Query(
        name=options.operands[0],
        port=_number(options.value("p", "53"), 65535),
        timeout=_number(options.value("W", "5"), 3600),
        tries=_number(options.value("R", "1"), 100) + 1,
    )
    query.options["tcp"], query.options["edns"] = "T" in options, False
    return query, (options.operands[1] if len(options.operands) > 1 else ""), kinds
