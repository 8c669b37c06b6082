"""`-m set --match-set`: membership in an ipset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


class SetMatch(Match):
    """Whether the packet's addresses and ports are in a set; a set that is gone matches nothing."""

    name = "set"
    options: ClassVar = {"match-set": 2}

    def __init__(self) -> None:
        self.set = ""
        self.directions: tuple[str, ...] = ()
        self.inverted = False

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.set, self.inverted = values[0], inverted
        self.directions = tuple(values[1].split(","))
        if any(each not in ("src", "dst") for each in self.directions):
            raise NetfilterError("You must specify (the comma separated list of) 'src' or 'dst'")

    def finish(self) -> None:
        if not self.set:
            raise NetfilterError("You must specify `--match-set' with proper arguments")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        namespace = at.namespace
        sets, now = namespace.netfilter.sets, namespace.kernel.now
        found = sets.get(self.set)
        entry = None if found is None else found.match(packet, self.directions, sets, now)
        if entry is not None:
            packet.count(entry.counter, packet.length)
            if entry.expires is not None and packet.recording is not None:
                packet.recording.limit_time(entry.expires)
        return (entry is not None) != self.inverted

    def save(self) -> str:
        return f"{bang(self.inverted)}--match-set {self.set} {','.join(self.directions)}"

    def describe(self) -> str:
        return f"{bang(self.inverted)}match-set {self.set} {','.join(self.directions)}"
