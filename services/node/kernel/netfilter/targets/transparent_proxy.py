"""TPROXY: give a packet to a local socket without changing it (net/netfilter/xt_TPROXY.c, nf_tproxy_ipv4.c)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.proto.packet.addresses import IPV6, format_address, is_ipv6, parse_address
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.services.node.kernel import internet
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import ACCEPT, DROP, Target
from podwire.services.node.kernel.netfilter.words import parse_port, parse_value_mask
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


class TransparentProxy(Target):
    """Finds the packet's connection, else a listener at `on_address` and `on_port`; without either it drops.

    The socket must be transparent; the mark is for a policy rule that routes the packet to this host.
    """

    name = "TPROXY"
    options: ClassVar = {"on-port": 1, "on-ip": 1, "tproxy-mark": 1}
    tables = ("mangle",)
    hooks = ("PREROUTING",)
    protocols = (TCP, UDP)
    is_ipv6: ClassVar[bool] = False

    def __init__(self) -> None:
        self.on_port: int | None = None
        self.on_address = IPV6 if self.is_ipv6 else 0
        self.mark: tuple[int, int] = (0, 0)

    def accept(self, option: str, values: Sequence[str]) -> None:
        if option == "on-port":
            self.on_port = parse_port(values[0])
        elif option == "on-ip":
            self.on_address = self._address(values[0])
        else:
            self.mark = parse_value_mask(values[0], "mark")

    def _address(self, text: str) -> int:
        try:
            address = parse_address(text)
        except PacketError:
            address = -1
        if address < 0 or is_ipv6(address) != self.is_ipv6:
            raise NetfilterError(f'TPROXY: Bad value for "--on-ip" option: "{text}"')
        return address

    def finish(self) -> None:
        if self.on_port is None:
            raise NetfilterError('TPROXY: option "--on-port" must be specified')

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        is_given = self.on_address not in (0, IPV6)
        address = self.on_address if is_given else self._own_address(packet)
        port = self.on_port or packet.destination_port
        socket = at.namespace.sockets.divert(packet, address, port)
        if socket is None or not socket.transparent:
            return DROP
        value, mask = self.mark
        packet.recording = None
        packet.mark, packet.socket = packet.mark & ~mask & 0xFFFFFFFF ^ value, socket
        return ACCEPT

    def _own_address(self, packet: Packet) -> int:
        """The first address of the device that the packet came in by, else its own destination."""
        device = packet.in_device
        own = None if device is None else internet.source_on(device, packet.destination)
        return own if own is not None else packet.destination

    def save(self) -> str:
        address = format_address(self.on_address)
        return "--on-port {} --on-ip {} --tproxy-mark {:#x}/{:#x}".format(self.on_port, address, *self.mark)

    def describe(self) -> str:
        address = format_address(self.on_address)
        return "TPROXY redirect {}:{} mark {:#x}/{:#x}".format(address, self.on_port, *self.mark)


class TransparentProxy6(TransparentProxy):
    """The same for IPv6."""

    is_ipv6 = True
