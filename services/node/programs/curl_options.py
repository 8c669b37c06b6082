"""curl's command line. Pure."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from podwire.services.node.programs.http_client import Headers

VERSION = "8.11.1"


class BadOption(ValueError):
    """A command line that curl refuses, with its exit code 2; the text stands after `curl: `."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for. Times in seconds, 0 for none."""

    urls: tuple[str, ...] = ()
    family: str = ""
    """"4", "6" or "" for either."""
    method: str = ""
    headers: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    """Bodies as (kind, text): kind is `data`, `raw`, `binary` or `json`."""
    outputs: tuple[str, ...] = ()
    write_out: str = ""
    agent: str = f"curl/{VERSION}"
    user: str = ""
    max_time: float = 0
    connect_timeout: float = 0
    retries: int = 0
    retry_delay: float = 1
    resolve: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    silent: bool = False
    show_error: bool = False
    verbose: bool = False
    head: bool = False
    fail: bool = False
    fail_with_body: bool = False
    include: bool = False
    follow: bool = False
    as_query: bool = False
    remote_name: bool = False
    retry_refused: bool = False
    no_meter: bool = False
    version: bool = False
    max_redirects: int = 50
    insecure: bool = False
    ca_file: str = ""


_FLAGS = {
    "silent": "s",
    "show-error": "S",
    "verbose": "v",
    "head": "I",
    "fail": "f",
    "fail-with-body": "fail_with_body",
    "include": "i",
    "show-headers": "i",
    "location": "L",
    "insecure": "k",
    "get": "G",
    "remote-name": "O",
    "version": "V",
    "no-buffer": "N",
    "globoff": "g",
    "ipv4": "4",
    "ipv6": "6",
    "http1.1": "ignored",
    "http1.0": "ignored",
    "compressed": "ignored",
    "no-keepalive": "ignored",
    "no-progress-meter": "no_meter",
    "retry-connrefused": "retry_refused",
    "retry-all-errors": "retry_refused",
    "path-as-is": "ignored",
}
_VALUED = {
    "request": "X",
    "header": "H",
    "data": "d",
    "data-raw": "raw",
    "data-binary": "binary",
    "data-ascii": "d",
    "json": "json",
    "output": "o",
    "write-out": "w",
    "user-agent": "A",
    "user": "u",
    "max-time": "m",
    "connect-timeout": "connect_timeout",
    "resolve": "resolve",
    "url": "url",
    "retry": "retry",
    "retry-delay": "retry_delay",
    "retry-max-time": "ignored",
    "referer": "e",
    "max-redirs": "max_redirects",
    "noproxy": "ignored",
    "cacert": "cacert",
    "oauth2-bearer": "bearer",
    "interface": "",
}
_SHORT_FLAGS = "sSvIfiLkGOVNg46"
_SHORT_VALUED = "XHdowAume"
_FIELDS = {
    "s": "silent",
    "S": "show_error",
    "v": "verbose",
    "I": "head",
    "f": "fail",
    "fail_with_body": "fail_with_body",
    "i": "include",
    "L": "follow",
    "G": "as_query",
    "O": "remote_name",
    "k": "insecure",
    "V": "version",
    "no_meter": "no_meter",
    "retry_refused": "retry_refused",
}


def read_call(words: Sequence[str]) -> Call:
    """Reads a command line. Raises BadOption."""
    call, rest = Call(), list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > 2:
            call = _long(call, word[2:], rest)
        elif word.startswith("-") and len(word) > 1:
            call = _cluster(call, word[1:], rest)
        else:
            call = replace(call, urls=(*call.urls, word))
    if not call.urls and not call.version:
        raise BadOption("(2) no URL specified")
    return call


def _long(call: Call, name: str, rest: list[str]) -> Call:
    if name in _FLAGS:
        return _flag(call, _FLAGS[name])
    if not _VALUED.get(name):
        raise BadOption(f"option --{name}: is unknown")
    if not rest:
        raise BadOption(f"option --{name}: requires parameter")
    return _value(call, _VALUED[name], rest.pop(0), f"--{name}")


def _cluster(call: Call, letters: str, rest: list[str]) -> Call:
    for at, letter in enumerate(letters):
        if letter in _SHORT_VALUED:
            value = letters[at + 1 :]
            if not value and not rest:
                raise BadOption(f"option -{letters}: requires parameter")
            return _value(call, letter, value or rest.pop(0), f"-{letter}")
        if letter not in _SHORT_FLAGS:
            raise BadOption(f"option -{letters}: is unknown")
        call = _flag(call, letter)
    return call


def _flag(call: Call, key: str) -> Call:
    if key in ("4", "6"):
        return replace(call, family=key)
    if key not in _FIELDS:
        return call
    changes: dict[str, bool] = {_FIELDS[key]: True}
    return replace(call, **changes)  # type: ignore[arg-type]  # every one of these fields is a bool


def _value(call: Call, key: str, value: str, option: str) -> Call:
    match key:
        case "X":
            return replace(call, method=value)
        case "H":
            return replace(call, headers=(*call.headers, value))
        case "e":
            return replace(call, headers=(*call.headers, f"Referer: {value}"))
        case "bearer":
            return replace(call, headers=(*call.headers, f"Authorization: Bearer {value}"))
        case "d" | "raw" | "binary" | "json":
            return replace(call, data=(*call.data, ("data" if key == "d" else key, value)))
        case "o":
            return replace(call, outputs=(*call.outputs, value))
        case "w":
            return replace(call, write_out=value)
        case "A":
            return replace(call, agent=value)
        case "u":
            return replace(call, user=value)
        case "cacert":
            return replace(call, ca_file=value)
        case "url":
            return replace(call, urls=(*call.urls, value))
        case "resolve":
            return replace(call, resolve={**call.resolve, **_resolve_entry(value)})
        case "ignored":
            return call
    return _number(call, key, value, option)


def _number(call: Call, key: str, value: str, option: str) -> Call:
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 <= number < 10**7:
        raise BadOption(f"option {option}: expected a proper numerical parameter")
    match key:
        case "m":
            return replace(call, max_time=number)
        case "connect_timeout":
            return replace(call, connect_timeout=number)
        case "retry_delay":
            return replace(call, retry_delay=number)
        case "max_redirects":
            return replace(call, max_redirects=int(number))
    return replace(call, retries=int(number))


def _resolve_entry(value: str) -> dict[tuple[str, int], list[str]]:
    host, _, rest = value.lstrip("+").partition(":")
    port, _, addresses = rest.partition(":")
    if not host or not addresses or not (port.isascii() and port.isdigit()) or len(port) > 5:
        raise BadOption(f"(49) Couldn't parse CURLOPT_RESOLVE entry '{value}'")
    return {(host.lower(), int(port)): addresses.split(",")}


def request_headers(call: Call, authority: str, credentials: str, body: bytes) -> Headers:
    """The request's headers in curl's order; -H replaces, or with nothing behind the colon removes, a default."""
    given = [_header(text) for text in call.headers]
    replaced = {name.lower() for name, _ in given}
    headers = [("Host", authority)]
    user = call.user or credentials
    if user:
        headers.append(("Authorization", "Basic " + base64.b64encode(user.encode()).decode()))
    headers += [("User-Agent", call.agent), ("Accept", "application/json" if _is_json(call) else "*/*")]
    if call.data and not call.as_query:
        headers.append(("Content-Length", str(len(body))))
        kind = "application/json" if _is_json(call) else "application/x-www-form-urlencoded"
        headers.append(("Content-Type", kind))
    kept = [each for each in headers if each[0].lower() not in replaced]
    host = [each for each in given if each[0].lower() == "host" and each[1]]
    return host + kept + [each for each in given if each[1] and each[0].lower() != "host"]


def _is_json(call: Call) -> bool:
    return any(kind == "json" for kind, _ in call.data)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon and text.endswith(";"):
        return text[:-1].strip(), ""
    return name.strip(), value.strip()
