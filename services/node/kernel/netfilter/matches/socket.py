"""Matches on sockets: whose a packet is that leaves (`owner`), and for whom there is one that comes (`socket`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang, not_inverted
from podwire.services.node.kernel.netfilter.words import parse_number
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.sockets.base import ANY, ANY6

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

LAST_ID: Final = 0xFFFFFFFE

type Ids = tuple[int, int, bool]
"""First, last, and whether it must not be one of them."""


class Owner(Match):
    """`-m owner` (net/netfilter/xt_owner.c): without a socket only what is inverted holds."""

    name = "owner"
    options: ClassVar = {"uid-owner": 1, "gid-owner": 1, "socket-exists": 0}
    hooks = ("OUTPUT", "POSTROUTING")

    def __init__(self) -> None:
        self.users: Ids | None = None
        self.groups: Ids | None = None
        self.exists: bool | None = None

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option == "socket-exists":
            self.exists = not inverted
        elif option == "uid-owner":
            self.users = (*_parse_ids(option, values[0]), inverted)
        else:
            self.groups = (*_parse_ids(option, values[0]), inverted)

    def finish(self) -> None:
        if self.users is None and self.groups is None and self.exists is None:
            raise NetfilterError("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        packet.recording = None  # another process may have the ports tomorrow
        socket = packet.socket
        if self.exists is not None and (socket is not None) != self.exists:
            return False
        if socket is None:
            return all(ids is None or ids[2] for ids in (self.users, self.groups))
        return _is_one_of(socket.user, self.users) and _is_one_of(socket.group, self.groups)

    def save(self) -> str:
        return self._words("--socket-exists", "--uid-owner", "--gid-owner")

    def describe(self) -> str:
        return self._words("owner socket exists", "owner UID match", "owner GID match")

    def _words(self, exists: str, users: str, groups: str) -> str:
        parts = [] if self.exists is None else [f"{bang(not self.exists)}{exists}"]
        for label, ids in ((users, self.users), (groups, self.groups)):
            if ids is not None:
                first, last, inverted = ids
                parts.append(f"{bang(inverted)}{label} {first}" + (f"-{last}" if last != first else ""))
        return " ".join(parts)


def _parse_ids(option: str, text: str) -> tuple[int, int]:
    """A number, two with a dash, or `root`, the one name that every image knows."""
    if text == "root":
        return 0, 0
    first, dash, last = text.partition("-")
    try:
        low = parse_number(first, 0, LAST_ID, "")
        return low, parse_number(last, low, LAST_ID, "") if dash else low
    except NetfilterError:
        raise NetfilterError(f'owner: Bad value for "--{option}" option: "{text}"') from None


def _is_one_of(number: int, ids: Ids | None) -> bool:
    return ids is None or (ids[0] <= number <= ids[1]) != ids[2]


class SocketMatch(Match):
    """`-m socket` (net/netfilter/xt_socket.c): whether a connection or a listener of this host waits for the packet."""

    name = "socket"
    options: ClassVar = {"transparent": 0, "nowildcard": 0}
    hooks = ("PREROUTING", "INPUT")

    def __init__(self) -> None:
        self.flags: dict[str, bool] = {}

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        not_inverted(option, inverted)
        self.flags[option] = True

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        table = at.namespace.sockets
        packet.recording = None
        socket = table.owner_of(packet) or table.listener_at(packet, packet.destination, packet.destination_port)
        if socket is None:
            return False
        is_wildcard = socket.local[0] in (ANY, ANY6) and "nowildcard" not in self.flags
        return not is_wildcard and (socket.transparent or "transparent" not in self.flags)

    def save(self) -> str:
        return " ".join(f"--{flag}" for flag in self.options if flag in self.flags)

    def describe(self) -> str:
        return f"socket {self.save()}".rstrip()
