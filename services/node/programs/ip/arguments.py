"""What `ip`'s command line means (iproute2 ip/ip.c). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from podwire.services.node.kernel.printing.links import Selection

OBJECTS: Final = (
    *("link", "address", "addr", "route", "neighbor", "neighbour", "neigh", "netns", "rule", "tunnel", "monitor"),
)
NOT_BUILT: Final = (
    "maddress",
    "mroute",
    "tuntap",
    "xfrm",
    "token",
    "l2tp",
    "vrf",
    "sr",
    "nexthop",
    "tcp_metrics",
)
_MEANING: Final = {"addr": "address", "neighbour": "neigh", "neighbor": "neigh"}
_FLAGS: Final = {
    "brief": "brief",
    "br": "brief",
    "details": "details",
    "d": "details",
    "statistics": "statistics",
    "stats": "statistics",
    "s": "statistics",
    "oneline": "oneline",
    "o": "oneline",
}
_IGNORED: Final = ("c", "color", "color=auto", "color=never", "N", "Numeric", "r")


class IpError(Exception):
    """A command that ip refuses: its message and exit code."""

    def __init__(self, message: str, code: int = 255) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class IpCall:
    """Options, the object, the command and its words."""

    selection: Selection
    namespace: str
    subject: str
    command: str
    words: tuple[str, ...]
    json: bool = False
    pretty: bool = False

    @property
    def family(self) -> Literal["ipv4", "ipv6"]:
        """The family that routes and rules are about: IPv4 unless -6 said otherwise."""
        return "ipv6" if self.selection.family == "ipv6" else "ipv4"


def read_call(words: Sequence[str]) -> IpCall:
    """Reads the command line. Raises IpError."""
    selection, namespace, rest = Selection(), "", list(words)
    json = pretty = False
    while rest and rest[0].startswith("-"):
        option = rest.pop(0).lstrip("-")
        if option in _FLAGS:
            selection = _with_flag(selection, _FLAGS[option])
        elif option in ("n", "netns") and rest:
            namespace = rest.pop(0)
        elif option in ("V", "Version"):
            raise IpError("ip utility, iproute2-6.8.0", 0)
        elif option in ("4", "6"):
            selection = replace(selection, family=f"ipv{option}")
        elif option == "f" and rest:
            selection = replace(selection, family=_family(rest.pop(0)))
        elif option in ("j", "json"):
            json = True
        elif option in ("p", "pretty"):
            pretty = True
        elif option not in _IGNORED:
            raise IpError(f'Option "-{option}" is unknown, try "ip -help".')
    if not rest:
        raise IpError("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }")
    subject = _object(rest.pop(0))
    command = _command(subject, rest.pop(0)) if rest and subject != "monitor" else "show"
    return IpCall(selection, namespace, subject, command, tuple(rest), json, pretty)


def _family(name: str) -> str:
    families = {"inet": "ipv4", "inet6": "ipv6", "link": ""}
    if name not in families:
        raise IpError(f'argument "{name}" is wrong: invalid protocol family')
    return families[name]


def _with_flag(selection: Selection, flag: str) -> Selection:
    return replace(
        selection,
        brief=selection.brief or flag == "brief",
        details=selection.details or flag == "details",
        statistics=selection.statistics or flag == "statistics",
        oneline=selection.oneline or flag == "oneline",
    )


def _object(word: str) -> str:
    found = next((each for each in OBJECTS if each.startswith(word)), None) if word else None
    if found is None and word in NOT_BUILT:
        raise IpError(f"ip {word}: not built", 1)
    if found is None:
        raise IpError(f'Object "{word}" is unknown, try "ip help".', 1)
    return _MEANING.get(found, found)


_COMMANDS: Final = {
    "link": ("show", "list", "lst", "set", "add", "delete"),
    "address": ("show", "list", "lst", "add", "change", "replace", "delete", "flush"),
    "route": ("show", "list", "lst", "get", "add", "append", "change", "chg", "replace", "delete", "flush"),
    "neigh": ("show", "list", "lst", "add", "change", "chg", "replace", "delete", "flush"),
    "netns": ("list", "show", "add", "delete", "exec", "identify"),
    "rule": ("show", "list", "lst", "add", "delete", "flush"),
    "tunnel": ("show", "list", "lst", "add", "delete"),
}


def _command(subject: str, word: str) -> str:
    found = next((each for each in _COMMANDS[subject] if each.startswith(word)), None) if word else None
    if found is None:
        raise IpError(f'Command "{word}" is unknown, try "ip {subject} help".')
    return "show" if found in ("list", "lst") else "change" if found == "chg" else found


def select(selection: Selection, words: Sequence[str]) -> Selection:
    """What `ip link show` or `ip addr show` was narrowed to. Raises IpError."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "up":
            selection = replace(selection, only_up=True)
        elif word in ("dev", "type", "master") and rest:
            selection = _narrowed(selection, word, rest.pop(0))
        elif word in ("dev", "type", "master"):
            raise IpError('Command line is not complete. Try option "help"')
        elif selection.device:
            raise IpError(f'Error: either "dev" is duplicate, or "{word}" is a garbage.', 255)
        else:
            selection = replace(selection, device=word)
    return selection


def _narrowed(selection: Selection, word: str, value: str) -> Selection:
    if word == "dev":
        return replace(selection, device=value)
    return replace(selection, kind=value) if word == "type" else replace(selection, master=value)


def number(text: str, what: str, most: int = (1 << 32) - 1) -> int:
    """A number that an option takes, decimal or with 0x. Raises IpError."""
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise IpError(f'Error: argument "{text}" is wrong: invalid {what}', 255)
    return value


def pairs(words: Sequence[str], keys: Sequence[str], flags: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """`key value` words as a dictionary (flags as "1"), and the words that are neither. Raises IpError."""
    found: dict[str, str] = {}
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in flags:
            found[word] = "1"
        elif word in keys:
            if not rest:
                raise IpError('Command line is not complete. Try option "help"')
            found[word] = rest.pop(0)
        else:
            others.append(word)
    return found, others
