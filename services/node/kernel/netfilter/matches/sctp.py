"""`-m sctp`: ports and chunk types (iptables/extensions/libxt_sctp.c, net/netfilter/xt_sctp.c)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet import sctp
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ipv4 import SCTP
from podwire.proto.packet.sctp import parse_chunks
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import bang
from podwire.services.node.kernel.netfilter.matches.transport import Ports
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_CHUNKS: Final = {
    name.replace("HB REQ", "HEARTBEAT")
    .replace("HB ACK", "HEARTBEAT_ACK")
    .replace("OP ERR", "ERROR")
    .replace(" ", "_"): number
    for number, name in sctp.NAMES.items()
}
_NAMES: Final = {number: name for name, number in _CHUNKS.items()}
_HOW: Final = ("all", "any", "only")


class Sctp(Ports):
    """Ports, and which chunks a packet holds: all of some, any of them, or no others."""

    name = "sctp"
    protocol = SCTP
    options: ClassVar = {**Ports.options, "chunk-types": 2}

    def __init__(self) -> None:
        super().__init__()
        self.chunks: tuple[str, tuple[int, ...], bool] | None = None

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option != "chunk-types":
            return super().accept(option, values, inverted)
        if values[0].lower() not in _HOW:
            raise NetfilterError('Match type has to be one of "ALL", "ANY" or "ONLY"')
        self.chunks = (values[0].lower(), _parse_types(values[1]), inverted)
        return None

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        if not super().test(packet, at):
            return False
        return self.chunks is None or self._hit(packet, *self.chunks[:2]) != self.chunks[2]

    def _hit(self, packet: Packet, how: str, wanted: tuple[int, ...]) -> bool:
        try:
            present = [chunk.type for chunk in parse_chunks(packet.payload, sctp.HEADER_LENGTH)]
        except PacketError:
            return False
        if how == "any":
            return any(kind in present for kind in wanted)
        if how == "all":
            return all(kind in present for kind in wanted)
        return all(kind in wanted for kind in present)

    def _text(self, names: dict[int, str]) -> str:
        assert self.chunks is not None
        how, wanted, _ = self.chunks
        if len(wanted) in (0, 256):
            return f"{how} {'ALL' if wanted else 'NONE'}"
        return f"{how} {','.join(names[kind] for kind in wanted)}"

    def save(self) -> str:
        parts = [super().save()] if super().save() else []
        if self.chunks is not None:
            parts.append(f"{bang(self.chunks[2])}--chunk-types {self._text(_NAMES)}")
        return " ".join(parts)

    def describe(self) -> str:
        text = super().describe()
        if self.chunks is None:
            return text
        return f"{text} {bang(self.chunks[2])}{self._text({kind: f'0x{kind:04X}' for kind in _NAMES})}"


def _parse_types(text: str) -> tuple[int, ...]:
    if text.upper() in ("ALL", "NONE"):
        return tuple(range(256)) if text.upper() == "ALL" else ()
    names = text.upper().split(",")
    for name in names:
        if name not in _CHUNKS:
            kind, colon, _ = name.partition(":")
            if colon and kind in _CHUNKS:
                raise NetfilterError(f"sctp: chunk flags ({name}) are not built in podwire: chunk types are")
            raise NetfilterError(f"Unknown sctp chunk `{name}'")
    return tuple(sorted(_CHUNKS[name] for name in names))
