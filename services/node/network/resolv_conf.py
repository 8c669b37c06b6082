"""/etc/resolv.conf and /etc/hosts as C libraries read them (resolv.conf(5), hosts(5)).

Sources: glibc `resolv/res_init.c`, musl `src/network/resolvconf.c`.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from podwire.proto.packet.addresses import parse_address
from podwire.proto.packet.errors import PacketError

Library = Literal["glibc", "musl"]
"""The C library that a program is linked with."""
_MOST_SERVERS: Final = 3
_LIMITS: Final[dict[Library, dict[str, int]]] = {
    "glibc": {"ndots": 15, "timeout": 30, "attempts": 5},
    "musl": {"ndots": 15, "timeout": 60, "attempts": 10},
}
_FLAGS: Final = ("rotate", "single-request", "single-request-reopen", "trust-ad", "edns0", "use-vc", "no-aaaa")
_LONGEST_LINE: Final = 255
"""Of musl: a longer line is ignored."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What /etc/resolv.conf says; `timeout` in seconds, `flags` are options without a value (glibc's alone)."""

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    flags: tuple[str, ...] = ()


def read_configuration(text: str, library: Library = "glibc") -> Configuration:
    """Reads resolv.conf; lines that are none are skipped, as the libraries do. Of several `search` lines the last
    counts."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options, flags = {"ndots": 1, "timeout": 5, "attempts": 2}, dict[str, None]()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;" or (library == "musl" and len(line) >= _LONGEST_LINE):
            continue
        if words[0] == "nameserver" and is_address(words[1]):
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            options |= _numbers(words[1:], library)
            flags |= {word: None for word in words[1:] if word in _FLAGS and library == "glibc"}
    return Configuration(
        tuple(servers[:_MOST_SERVERS]) or ("127.0.0.1",),
        search,
        options["ndots"],
        max(options["timeout"], 1),
        max(options["attempts"], 1),
        tuple(flags),
    )


def _numbers(words: list[str], library: Library) -> dict[str, int]:
    """The options with a value."""
    found = {}
    for word in words:
        name, _, value = word.partition(":")
        if name in _LIMITS[library] and re.fullmatch(r"[0-9]{1,8}", value):
            found[name] = min(int(value), _LIMITS[library][name])
    return found


def candidates(name: str, configuration: Configuration) -> list[str]:
    """glibc's order: a name with fewer dots than ndots goes through the search list first, any other is asked for as it
    is first (res_search)."""
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}".rstrip(".") for domain in configuration.search]
    return [name, *searched] if name.count(".") >= configuration.ndots else [*searched, name]


def read_hosts(text: str) -> dict[str, list[str]]:
    """Addresses by name (lower case)."""
    hosts: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and is_address(words[0]):
            for name in words[1:]:
                hosts.setdefault(name.lower(), []).append(words[0])
    return hosts


def is_address(text: str) -> bool:
    """Whether it is an address of either family."""
    try:
        parse_address(text)
    except PacketError:
        return False
    return True
