"""Matches on where a packet is: address types, and ports of bridges."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.addresses import IPV6, is_multicast
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang, not_inverted
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

_TYPES: Final = (
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
)


class AddressType(Match):
    """`-m addrtype`: what kind of route an address has."""

    name = "addrtype"
    options: ClassVar = {"src-type": 1, "dst-type": 1, "limit-iface-in": 0, "limit-iface-out": 0}

    def __init__(self) -> None:
        self.source: tuple[tuple[str, ...], bool] | None = None
        self.destination: tuple[tuple[str, ...], bool] | None = None
        self.limited = ""

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option.startswith("limit"):
            not_inverted(option, inverted)
            self.limited = option
            return
        types = tuple(values[0].upper().split(","))
        for each in types:
            if each not in _TYPES:
                raise NetfilterError(f"addrtype: bad type `{each}'")
        if option == "src-type":
            self.source = (types, inverted)
        else:
            self.destination = (types, inverted)

    def finish(self) -> None:
        if self.source is None and self.destination is None:
            raise NetfilterError('addrtype match: you must specify "--src-type" or "--dst-type"')

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        device = ""
        if self.limited:
            device = at.in_name if self.limited == "limit-iface-in" else at.out_name
        for wanted, address in ((self.source, packet.source), (self.destination, packet.destination)):
            if wanted is not None and (self._type(at, address, device) in wanted[0]) == wanted[1]:
                return False
        return True

    def _type(self, at: "Evaluation", address: int, device: str) -> str:
        if is_multicast(address):
            return "MULTICAST"
        if address == 0xFFFFFFFF:
            return "BROADCAST"
        if address >> 24 == 0 or address == IPV6:
            return "UNSPEC"
        route = at.namespace.fib_for(address).lookup(address)
        if route is None:
            return "UNREACHABLE"
        if device and (route.device is None or route.device.name != device):
            return "UNICAST"
        return route.kind.upper()

    def save(self) -> str:
        parts = [
            f"{bang(types[1])}--{name} {','.join(types[0])}"
            for name, types in (("src-type", self.source), ("dst-type", self.destination))
            if types is not None
        ]
        return " ".join(parts + ([f"--{self.limited}"] if self.limited else []))

    def describe(self) -> str:
        parts = ["ADDRTYPE match"]
        for name, types in (("src-type", self.source), ("dst-type", self.destination)):
            if types is not None:
                parts.append(f"{name} {'!' * types[1]}{','.join(types[0])}")
        return " ".join(parts + ([self.limited.replace("iface-", "")] if self.limited else []))


class Physdev(Match):
    """`-m physdev`: the bridge ports that a bridged packet passes."""

    name = "physdev"
    options: ClassVar = {
        "physdev-in": 1,
        "physdev-out": 1,
        "physdev-is-in": 0,
        "physdev-is-out": 0,
        "physdev-is-bridged": 0,
    }

    def __init__(self) -> None:
        self.conditions: dict[str, tuple[str, bool]] = {}

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        self.conditions[option] = (values[0] if values else "", inverted)

    def finish(self) -> None:
        if not self.conditions:
            raise NetfilterError("PHYSDEV: no physdev option specified")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        return all(
            self._hit(option, packet, pattern) != inverted for option, (pattern, inverted) in self.conditions.items()
        )

    def _hit(self, option: str, packet: Packet, pattern: str) -> bool:
        if option == "physdev-is-bridged":
            return packet.bridged and packet.physical_in is not None and packet.physical_out is not None
        device = packet.physical_in if option.endswith("in") else packet.physical_out
        return device is not None and (not pattern or _named(device, pattern))

    def save(self) -> str:
        return " ".join(
            f"{bang(inverted)}--{option}" + (f" {pattern}" if pattern else "")
            for option, (pattern, inverted) in self.conditions.items()
        )

    def describe(self) -> str:
        return f"PHYSDEV match {self.save()}"


def _named(device: "Device", pattern: str) -> bool:
    return device.name.startswith(pattern[:-1]) if pattern.endswith("+") else device.name == pattern
