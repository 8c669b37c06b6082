"""nginx's configuration: what people mount, read into servers and locations (nginx.org/en/docs/http). Pure."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from podwire.services.node.programs.expressions import BadExpression, Matcher

PATH: Final = "/etc/nginx/nginx.conf"
_TOKEN: Final = re.compile(
    r"""\s+|#[^\n]*|[{};]|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|((?:[^\s{};"'\\]|\\.|\$\{\w+\})+)"""
)
_ESCAPED: Final = re.compile(r"\\([\"'\\ ntr])")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_DEEPEST: Final = 10
_MOST_FILES: Final = 200
_IGNORED: Final = (
    *("user", "worker_processes", "error_log", "pid", "daemon", "worker_connections", "log_format", "access_log"),
    *("sendfile", "tcp_nopush", "tcp_nodelay", "keepalive_timeout", "gzip", "gzip_types", "client_max_body_size"),
    *("server_tokens", "proxy_http_version", "proxy_read_timeout", "proxy_connect_timeout", "proxy_send_timeout"),
    *("proxy_buffering", "multi_accept", "use", "types_hash_max_size", "keepalive", "charset", "proxy_redirect"),
    *("worker_rlimit_nofile", "client_body_buffer_size", "proxy_cache_bypass", "log_not_found", "internal"),
)
_BLOCKS: Final = ("events", "http", "server", "location", "upstream", "types")
_BUILT: Final = (
    *("listen", "server_name", "root", "alias", "index", "try_files", "return", "proxy_pass", "proxy_set_header"),
    *("add_header", "error_page", "default_type"),
)


class BadConfig(ValueError):
    """A configuration that is refused; the text stands after `nginx: [emerg] `."""


@dataclass(slots=True)
class Directive:
    """One directive, where it stands, and what is in its braces."""

    name: str
    words: list[str]
    place: str
    children: "list[Directive] | None" = None

    def fail(self, text: str) -> BadConfig:
        """An error with the place."""
        return BadConfig(f"{text} in {self.place}")


@dataclass(slots=True)
class Location:
    """How a part of a server answers. `modifier` is "", "=", "^~", "~" or "~*"; a server's own has the path ""."""

    modifier: str = ""
    path: str = ""
    matcher: Matcher | None = None
    root: str = "/etc/nginx/html"
    alias: str = ""
    index: list[str] = field(default_factory=lambda: ["index.html"])
    try_files: list[str] = field(default_factory=list)
    returned: tuple[int, str] | None = None
    proxy: str = ""
    proxy_headers: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    error_pages: dict[int, str] = field(default_factory=dict)
    default_type: str = "text/plain"


@dataclass(slots=True)
class Server:
    """One server block; ports with whether it is the default there."""

    ports: dict[int, bool] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    base: Location = field(default_factory=Location)
    locations: list[Location] = field(default_factory=list)


@dataclass(slots=True)
class Config:
    """All servers and upstreams, and the files that were read."""

    servers: list[Server] = field(default_factory=list)
    upstreams: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def ports(self) -> list[int]:
        """Every port that is listened on."""
        return list(dict.fromkeys(port for server in self.servers for port in server.ports))

    def server(self, port: int, host: str) -> Server:
        """The server of a request: by name, else the default of the port."""
        here = [each for each in self.servers if port in each.ports]
        for each in here:
            if any(fnmatch.fnmatchcase(host, name.removeprefix(".").replace("_", "\0")) for name in each.names):
                return each
        return next((each for each in here if each.ports[port]), here[0])


Reader = Callable[[str], list[tuple[str, str]]]
"""Files that a path or a pattern names: (name, text)."""


def read_config(read: Reader) -> Config:
    """The configuration behind /etc/nginx/nginx.conf. Raises BadConfig."""
    config = Config()
    found = read(PATH)
    if not found:
        raise BadConfig(f'open() "{PATH}" failed (2: No such file or directory)')
    for directive in _parsed(config, read, *found[0], 0):
        if directive.name == "http":
            _http(config, directive)
    return config


def _parsed(config: Config, read: Reader, name: str, text: str, depth: int) -> list[Directive]:
    config.files[name] = text
    if depth > _DEEPEST or len(config.files) > _MOST_FILES:
        raise BadConfig(f"too many files are included in {name}")
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadConfig(f"unexpected character in {name}:{line}")
        token, at = match.group(), match.end()
        if token == ";":
            stack[-1] += _simple(config, read, words, f"{name}:{line}", depth)
            words = []
        elif token == "{":
            if not words or len(stack) > _DEEPEST:
                raise BadConfig(f'unexpected "{{" in {name}:{line}')
            block = Directive(words[0], words[1:], f"{name}:{line}", [])
            _check(block)
            stack[-1].append(block)
            stack.append(block.children or [])
            block.children, words = stack[-1], []
        elif token == "}":
            if words or len(stack) == 1:
                raise BadConfig(f'unexpected "}}" in {name}:{line}')
            stack.pop()
        elif token[0] not in "# \t\r\n":
            quoted = next((group for group in match.groups() if group is not None), "")
            words.append(_ESCAPED.sub(lambda found: _ESCAPES.get(found.group(1), found.group(1)), quoted))
        line += token.count("\n")
    if words or len(stack) > 1:
        raise BadConfig(f"unexpected end of file, expecting {'";"' if words else '"}"'} in {name}:{line}")
    return stack[0]


def _simple(config: Config, read: Reader, words: list[str], place: str, depth: int) -> list[Directive]:
    if not words:
        raise BadConfig(f'unexpected ";" in {place}')
    directive = Directive(words[0], words[1:], place)
    if directive.name != "include":
        _check(directive)
        return [directive]
    if len(directive.words) != 1:
        raise directive.fail('invalid number of arguments in "include" directive')
    path = directive.words[0] if directive.words[0].startswith("/") else f"/etc/nginx/{directive.words[0]}"
    found = read(path)
    if not found and "*" not in path and not path.endswith("mime.types"):
        raise directive.fail(f'open() "{path}" failed (2: No such file or directory)')
    return [each for name, text in found for each in _parsed(config, read, name, text, depth + 1)]


def _check(directive: Directive) -> None:
    known = _BLOCKS if directive.children is not None else (*_BUILT, *_IGNORED, "server")
    if directive.name not in known and directive.name != "types":
        raise directive.fail(f'directive "{directive.name}" is not built in podwire')


def _http(config: Config, http: Directive) -> None:
    base = Location()
    for each in http.children or []:
        if each.name not in ("server", "upstream", "types"):
            _apply(base, each)
    for each in http.children or []:
        if each.name == "upstream":
            hosts = [child.words[0] for child in each.children or [] if child.name == "server" and child.words]
            config.upstreams[each.words[0] if each.words else ""] = hosts
        elif each.name == "server":
            config.servers.append(_server(each, base))


def _copied(base: Location, **changes: str) -> Location:
    made = Location(**changes)  # type: ignore[arg-type]  # modifier and path
    made.root, made.index, made.default_type = base.root, base.index, base.default_type
    made.headers, made.proxy_headers = list(base.headers), list(base.proxy_headers)
    made.error_pages = dict(base.error_pages)
    return made


def _server(block: Directive, base: Location) -> Server:
    server = Server(base=_copied(base))
    children = block.children or []
    for each in children:
        if each.name == "listen":
            _listen(server, each)
        elif each.name == "server_name":
            server.names += [word.lower() for word in each.words]
        elif each.name != "location":
            _apply(server.base, each)
    server.locations = [_location(each, server.base) for each in children if each.name == "location"]
    server.ports = server.ports or {80: False}
    return server


def _listen(server: Server, directive: Directive) -> None:
    word = directive.words[0] if directive.words else ""
    if word.startswith("[") or "unix:" in word:
        return
    if "ssl" in directive.words or "quic" in directive.words:
        raise directive.fail('"listen ... ssl" is not built in podwire')
    port = word.rpartition(":")[2] if ":" in word or word.isdigit() else "80"
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
        raise directive.fail(f'invalid port in "{word}" of the "listen" directive')
    server.ports[int(port)] = "default_server" in directive.words


def _location(block: Directive, base: Location) -> Location:
    words = block.words
    modifier, path = (words[0], words[1]) if len(words) == 2 else ("", words[0] if words else "")
    if modifier not in ("", "=", "^~", "~", "~*") or not path or len(words) > 2:
        raise block.fail(f'invalid location modifier "{words[0] if words else ""}"')
    location = _copied(base, modifier=modifier, path=path)
    if modifier in ("~", "~*"):
        try:
            location.matcher = Matcher(path, ignore_case=modifier == "~*")
        except BadExpression as error:
            raise block.fail(f'"{path}": {error}') from None
    for each in block.children or []:
        if each.children is not None:
            raise each.fail(f'"{each.name}" inside a location is not built in podwire')
        _apply(location, each)
    return location


def _apply(location: Location, directive: Directive) -> None:
    words = directive.words
    if directive.name in _IGNORED:
        return
    if not words:
        raise directive.fail(f'invalid number of arguments in "{directive.name}" directive')
    match directive.name:
        case "root":
            location.root = words[0] if words[0].startswith("/") else f"/etc/nginx/{words[0]}"
        case "alias":
            location.alias = words[0]
        case "index":
            location.index = words
        case "try_files":
            location.try_files = words
        case "proxy_pass":
            if not words[0].startswith("http://"):
                raise directive.fail(f'proxy_pass to "{words[0]}" is not built in podwire: http:// is')
            location.proxy = words[0]
        case "proxy_set_header" | "add_header" if len(words) > 1:
            (location.proxy_headers if directive.name[0] == "p" else location.headers).append((words[0], words[1]))
        case "default_type":
            location.default_type = words[0]
        case "error_page":
            location.error_pages.update(
                {int(word): words[-1] for word in words[:-1] if word.isdigit() and len(word) == 3}
            )
        case "return":
            location.returned = _returned(directive)
        case _:
            raise directive.fail(f'"{directive.name}" directive is not allowed here')


def _returned(directive: Directive) -> tuple[int, str]:
    words = directive.words
    if len(words) == 1 and not words[0].isdigit():
        return 302, words[0]
    if not words[0].isdigit() or len(words[0]) != 3 or not 200 <= int(words[0]) <= 599:
        raise directive.fail(f'invalid return code "{words[0]}"')
    return int(words[0]), words[1] if len(words) > 1 else ""


def choose(server: Server, path: str) -> Location:
    """The location of a path: exact, then the longest prefix unless an expression fits."""
    longest = None
    for location in server.locations:
        if location.modifier == "=" and location.path == path:
            return location
        is_prefix = location.modifier in ("", "^~") and path.startswith(location.path)
        if is_prefix and (longest is None or len(location.path) > len(longest.path)):
            longest = location
    if longest is None or longest.modifier != "^~":
        for location in server.locations:
            if location.matcher is not None and location.matcher.search(path) is not None:
                return location
    return longest or server.base
