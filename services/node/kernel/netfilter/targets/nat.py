"""Targets of the nat table: DNAT, SNAT, MASQUERADE, REDIRECT. They are asked about first packets only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.proto.packet.addresses import IPV6, format_address, is_link_local, parse_ipv4, parse_ipv6
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel.conntrack import nat
from podwire.services.node.kernel.conntrack.nat import NatRange
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import ACCEPT, DROP, Target
from podwire.services.node.kernel.netfilter.words import parse_port
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


LOOPBACK, LOOPBACK6 = 0x7F000001, IPV6 | 1


class _Nat(Target):
    tables = ("nat",)
    needs_conntrack = True
    source: ClassVar[bool]
    is_ipv6: ClassVar[bool] = False
    address_option: ClassVar[str] = ""
    port_option: ClassVar[str] = ""

    def __init__(self) -> None:
        self.addresses: tuple[int, int] | None = None
        self.ports: tuple[int, int] | None = None
        self.flags: list[str] = []

    def accept(self, option: str, values: Sequence[str]) -> None:
        if option == self.address_option:
            self._parse_destination(values[0])
        elif option == self.port_option:
            self.ports = _parse_ports(values[0])
        else:
            self.flags.append(option)

    def _parse_destination(self, text: str) -> None:
        addresses, colon, ports = _split_ports6(text) if self.is_ipv6 else text.partition(":")
        if addresses:
            low, dash, high = addresses.partition("-")
            self.addresses = (self._address(low), self._address(high if dash else low))
            if self.addresses[0] > self.addresses[1]:
                raise NetfilterError(f'Bad IP range "{addresses}"')
        if colon:
            self.ports = _parse_ports(ports)
        if not addresses and not colon:
            raise NetfilterError('Bad IP address ""')

    def _address(self, text: str) -> int:
        try:
            return parse_ipv6(text) if self.is_ipv6 else parse_ipv4(text)
        except PacketError:
            raise NetfilterError(f'Bad IP address "{text}"') from None

    def finish(self) -> None:
        if self.address_option and self.addresses is None and self.ports is None:
            raise NetfilterError(f'{self.name}: option "--{self.address_option}" must be specified')

    def _range(self, low: int | None, high: int | None) -> NatRange:
        ports = self.ports or (None, None)
        shuffled = "random" in self.flags or "random-fully" in self.flags
        return NatRange(low, high, ports[0], ports[1], shuffled, "persistent" in self.flags)

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        wanted = self.choose(packet, at)
        if wanted is None or not nat.set_up(at.namespace, packet, wanted, source=self.source):
            return DROP
        return ACCEPT

    def choose(self, packet: Packet, at: "Evaluation") -> NatRange | None:
        """What to translate to; None drops the packet."""
        low, high = self.addresses or (None, None)
        return self._range(low, high)

    def _destination_text(self) -> str:
        text = ""
        if self.addresses is not None:
            low, high = self.addresses
            text = format_address(low) + (f"-{format_address(high)}" if high != low else "")
            text = f"[{text}]" if self.is_ipv6 and self.ports else text
        return text + (f":{_format_ports(self.ports)}" if self.ports else "")

    def _flag_words(self, prefix: str) -> list[str]:
        return [prefix + flag for flag in ("random", "random-fully", "persistent") if flag in self.flags]

    def save(self) -> str:
        parts = [f"--{self.address_option} {self._destination_text()}"] if self.address_option else []
        if self.port_option and self.ports:
            parts.append(f"--{self.port_option} {_format_ports(self.ports)}")
        return " ".join(parts + self._flag_words("--"))

    def describe(self) -> str:
        return " ".join([f"to:{self._destination_text()}", *self._flag_words("")])


def _split_ports6(text: str) -> tuple[str, str, str]:
    """Addresses and ports of `[fd00::1]:80`, `fd00::1` or `fd00::1-fd00::9`."""
    if not text.startswith("["):
        return text, "", ""
    addresses, bracket, ports = text[1:].partition("]")
    if not bracket or (ports and not ports.startswith(":")):
        raise NetfilterError("Invalid address format")
    return addresses, ports[:1], ports[1:]


def _parse_ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    first = parse_port(low)
    last = parse_port(high) if dash else first
    if first == 0 or first > last:
        raise NetfilterError(f'Port range bad: "{text}"')
    return first, last


def _format_ports(ports: tuple[int, int]) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


class DestinationNat(_Nat):
    """DNAT."""

    name = "DNAT"
    source = False
    hooks = ("PREROUTING", "OUTPUT")
    options: ClassVar = {"to-destination": 1, "random": 0, "persistent": 0}
    address_option = "to-destination"


class DestinationNat6(DestinationNat):
    """DNAT of ip6tables."""

    is_ipv6 = True


class SourceNat(_Nat):
    """SNAT."""

    name = "SNAT"
    source = True
    hooks = ("POSTROUTING", "INPUT")
    options: ClassVar = {"to-source": 1, "random": 0, "random-fully": 0, "persistent": 0}
    address_option = "to-source"


class SourceNat6(SourceNat):
    """SNAT of ip6tables."""

    is_ipv6 = True


class Masquerade(_Nat):
    """MASQUERADE: SNAT to the address that the outgoing device would use."""

    name = "MASQUERADE"
    source = True
    hooks = ("POSTROUTING",)
    options: ClassVar = {"to-ports": 1, "random": 0, "random-fully": 0}
    port_option = "to-ports"

    def choose(self, packet: Packet, at: "Evaluation") -> NatRange | None:
        address = at.namespace.masquerade_address(packet)
        return None if address is None else self._range(address, address)

    def describe(self) -> str:
        parts = [f"masq ports: {_format_ports(self.ports)}"] if self.ports else []
        return " ".join(parts + self._flag_words(""))


class Redirect(_Nat):
    """REDIRECT: DNAT to this host."""

    name = "REDIRECT"
    source = False
    hooks = ("PREROUTING", "OUTPUT")
    options: ClassVar = {"to-ports": 1, "random": 0}
    port_option = "to-ports"

    def choose(self, packet: Packet, at: "Evaluation") -> NatRange | None:
        is_ipv6 = packet.ethertype == TYPE_IPV6
        if at.hook == "OUTPUT":
            loopback = LOOPBACK6 if is_ipv6 else LOOPBACK
            return self._range(loopback, loopback)
        device = packet.in_device
        addresses = [] if device is None else device.addresses6 if is_ipv6 else device.addresses
        address = next((each.address for each in addresses if not is_link_local(each.address)), None)
        return None if address is None else self._range(address, address)

    def describe(self) -> str:
        parts = [f"redir ports {_format_ports(self.ports)}"] if self.ports else []
        return " ".join(parts + self._flag_words(""))
