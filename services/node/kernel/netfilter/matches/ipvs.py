"""`-m ipvs`: packets that IPVS has handled, by the virtual service that they were for (net/netfilter/xt_ipvs.c)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.addresses import address_bits, format_address, mask_for, parse_prefix
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.ipvs.connections import IpvsConnection
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang
from podwire.services.node.kernel.netfilter.words import parse_number
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_PROTOCOLS: Final = {"tcp": 6, "udp": 17, "sctp": 132}


class IpvsMatch(Match):
    """`--ipvs`, `--vproto`, `--vaddr`, `--vport`; the direction and method of forwarding are not built."""

    name = "ipvs"
    options: ClassVar = {"ipvs": 0, "vproto": 1, "vaddr": 1, "vport": 1}

    def __init__(self) -> None:
        self.handled: bool | None = None
        self.protocol: tuple[int, bool] | None = None
        self.address: tuple[int, int, bool] | None = None
        self.port: tuple[int, bool] | None = None

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option == "ipvs":
            self.handled = not inverted
        elif option == "vproto":
            number = _PROTOCOLS.get(values[0].lower())
            self.protocol = (number or parse_number(values[0], 0, 255, "vproto"), inverted)
        elif option == "vaddr":
            self.address = (*_prefix(values[0]), inverted)
        else:
            self.port = (parse_number(values[0], 0, 65535, "vport"), inverted)

    def finish(self) -> None:
        if (self.handled, self.protocol, self.address, self.port) == (None,) * 4:
            raise NetfilterError("IPVS: At least one option is required")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        packet.recording = None
        if self.handled is not None and not self.handled:
            return not packet.ipvs
        if not packet.ipvs:
            return False
        wanted = self.protocol, self.address, self.port
        if wanted == (None,) * 3:
            return True
        connection = _connection_of(packet, at)
        return connection is not None and self._fits(connection)

    def _fits(self, connection: IpvsConnection) -> bool:
        address, port = connection.virtual
        if self.protocol is not None and (connection.protocol == self.protocol[0]) == self.protocol[1]:
            return False
        if self.port is not None and (port == self.port[0]) == self.port[1]:
            return False
        return self.address is None or (address & self.address[1] == self.address[0]) != self.address[2]

    def save(self) -> str:
        parts = [] if self.handled is None else [f"{bang(not self.handled)}--ipvs"]
        parts += [f"{bang(inverted)}--vproto {number}" for number, inverted in filter(None, [self.protocol])]
        parts += [f"{bang(inverted)}--vaddr {_text(*prefix)}" for *prefix, inverted in filter(None, [self.address])]
        parts += [f"{bang(inverted)}--vport {number}" for number, inverted in filter(None, [self.port])]
        return " ".join(parts)

    def describe(self) -> str:
        return f"{self.name} {self.save().replace('--', '')}"


def _prefix(text: str) -> tuple[int, int]:
    try:
        address, length = parse_prefix(text)
    except PacketError as error:
        raise NetfilterError(f"ipvs: vaddr: {error.reason}") from None
    mask = mask_for(address, length)
    return address & mask, mask


def _connection_of(packet: Packet, at: "Evaluation") -> IpvsConnection | None:
    """The connection of a request that has been translated already, or of its reply."""
    table, protocol = at.namespace.ipvs.connections, packet.protocol
    source, destination = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
    return table.reply((protocol, *source, *destination)) or table.requests.get((protocol, *destination, *source))


def _text(address: int, mask: int) -> str:
    whole = mask == mask_for(address, address_bits(address))
    return format_address(address) if whole else f"{format_address(address)}/{format_address(mask)}"
