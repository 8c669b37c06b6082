"""CONNMARK: marks that stay with a connection (net/netfilter/xt_connmark.c, libxt_CONNMARK)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import CONTINUE, Target
from podwire.services.node.kernel.netfilter.targets.other import marking, marking_words
from podwire.services.node.kernel.netfilter.words import parse_number, parse_value_mask
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.entry import Connection
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

ALL: Final = 0xFFFFFFFF


class ConnectionMark(Target):
    """Set the connection's mark, save the packet's in it, or restore it to the packet, under masks."""

    name = "CONNMARK"
    options: ClassVar = {
        **dict.fromkeys(("set-xmark", "set-mark", "or-mark", "and-mark", "xor-mark"), 1),
        **dict.fromkeys(("save-mark", "restore-mark"), 0),
        **dict.fromkeys(("nfmask", "ctmask", "mask"), 1),
    }
    needs_conntrack = True

    def __init__(self) -> None:
        self.operation = self.option = ""
        self.value = 0
        self.packet_mask = self.connection_mask = ALL

    def accept(self, option: str, values: Sequence[str]) -> None:
        if option in ("nfmask", "ctmask", "mask"):
            return self._accept_mask(option, values[0])
        if self.operation:
            raise NetfilterError(f'CONNMARK: option "--{self.option}" cannot be used together with "--{option}".')
        self.option = option
        if values:
            self.operation = "set"
            self.value, self.connection_mask = marking(option, *parse_value_mask(values[0], "mark"))
        else:
            self.operation = option.removesuffix("-mark")
        return None

    def _accept_mask(self, option: str, text: str) -> None:
        mask = parse_number(text, 0, ALL, "mask")
        if self.operation == "set":
            return
        if option != "ctmask":
            self.packet_mask = mask
        if option != "nfmask":
            self.connection_mask = mask

    def finish(self) -> None:
        if not self.operation:
            raise NetfilterError("CONNMARK target: No operation specified")

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        connection = packet.connection
        if connection is None:
            return CONTINUE
        if self.operation == "restore":
            packet.mark = packet.mark & ~self.packet_mask & ALL ^ connection.mark & self.connection_mask
        else:
            value = self.value if self.operation == "set" else packet.mark & self.packet_mask
            _write(connection, packet, connection.mark & ~self.connection_mask & ALL ^ value)
        return CONTINUE

    def save(self) -> str:
        if self.operation == "set":
            return f"--set-xmark {self.value:#x}/{self.connection_mask:#x}"
        return f"--{self.operation}-mark --nfmask {self.packet_mask:#x} --ctmask {self.connection_mask:#x}"

    def describe(self) -> str:
        if self.operation == "set":
            return f"CONNMARK {marking_words(self.value, self.connection_mask)}"
        kept, other = (self.packet_mask, self.connection_mask)
        names = ("nfmask", "ctmask")
        if self.operation == "restore":
            kept, other, names = other, kept, ("ctmask", "nfmask")
        if kept == other:
            return f"CONNMARK {self.operation}" + ("" if kept == ALL else f" mask {kept:#x}")
        return f"CONNMARK {self.operation} {names[0]} {kept:#x} {names[1]} ~{other:#x}"


def _write(connection: "Connection", packet: Packet, mark: int) -> None:
    """Later packets must see a changed mark, so none of the connection's cached flows stays."""
    if connection.mark != mark:
        connection.mark = mark
        connection.invalidate_flows()
        packet.recording = None
