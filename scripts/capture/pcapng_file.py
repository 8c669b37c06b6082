"""What a capture becomes in pcapng: one interface a device, drops on an interface of their own beside them."""

from typing import Final

from podwire.proto.messages.capture import Captured, Seen
from podwire.scripts.capture.in_order import Placed
from podwire.scripts.capture_files import writing

_DROPPED: Final = "dropped"
type Place = tuple[str, str, str]
"""Machine, namespace and device."""


class PcapngFile:
    """Turns records into the file's bytes."""

    def __init__(self) -> None:
        self.frames = self.drops = self.lost = 0
        self._interfaces: dict[Place, int] = {}
        self._last_time = 0

    @property
    def devices(self) -> int:
        """How many devices were seen."""
        return sum(place[2] != _DROPPED for place in self._interfaces)

    def begin(self) -> bytes:
        """The first bytes."""
        return writing.section()

    def add(self, placed: Placed) -> bytes:
        """A record's bytes, after its interface's if that is new."""
        record = placed.record
        place = (placed.node, record.netns, _DROPPED if record.reason else record.device)
        head = b"" if place in self._interfaces else self._describe(place)
        self._last_time = max(self._last_time, record.time)
        direction = writing.OUTBOUND if record.is_outgoing else writing.INBOUND
        if record.reason:
            self.drops += 1
            direction = writing.UNKNOWN
        else:
            self.frames += 1
        return head + writing.packet(self._interfaces[place], record.time, record.frame, direction, comment_of(record))

    def _describe(self, place: Place) -> bytes:
        self._interfaces[place] = len(self._interfaces)
        node, netns, device = place
        where = f"pod {netns}" if netns else "the machine's own namespace"
        what = f"packets that died in {where}" if device == _DROPPED else f"{device} in {where}"
        return writing.interface(interface_name(place), f"{node}: {what}")

    def end(self, seen: list[tuple[str, Seen]]) -> bytes:
        """The statistics of the devices of which something was written; counts what was lost."""
        octets = b""
        for node, each in seen:
            self.lost += each.lost
            number = self._interfaces.get((node, each.netns, each.device or _DROPPED))
            if number is not None:
                octets += writing.statistics(number, self._last_time, each.passed, each.lost)
        return octets


def interface_name(place: Place) -> str:
    """`node-1/cni0`, or `node-1/default/web-1/eth0` in a pod."""
    return "/".join(part for part in place if part)


def comment_of(record: Captured) -> str:
    """Why a packet died and what traces call it; "" if there is nothing to say."""
    parts = []
    if record.reason:
        where = f" at {record.device}" if record.device else ""
        parts.append(f"dropped{where}: {record.reason}" + (f" ({record.detail})" if record.detail else ""))
    if record.trace:
        parts.append(f"trace {record.trace}")
    return "; ".join(parts)
