"""One rule: the IP part, match extensions, and a target, a jump or nothing."""

from dataclasses import dataclass, field

from podwire.proto.packet.addresses import IPV6, address_bits, format_address, is_ipv6, mask_for, prefix_mask
from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.netfilter.evaluation import Evaluation
from podwire.services.node.kernel.netfilter.matches.base import Match, bang
from podwire.services.node.kernel.netfilter.matches.state import Comment
from podwire.services.node.kernel.netfilter.targets.base import Target
from podwire.services.node.kernel.packet import Packet

PROTOCOLS = {
    "all": 0,
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "sctp": 132,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


@dataclass(slots=True)
class Prefix:
    """`-s` or `-d`."""

    address: int
    mask: int
    inverted: bool

    def test(self, address: int) -> bool:
        """Whether an address is meant."""
        return (address & self.mask == self.address) != self.inverted

    def text(self) -> str:
        """`10.0.0.0/8`; a mask that is no prefix is written out."""
        if is_ipv6(self.address):
            return f"{format_address(self.address)}/{(self.mask ^ IPV6).bit_count()}"
        length = self.mask.bit_count()
        plain = prefix_mask(length) == self.mask
        return f"{format_address(self.address)}/{length if plain else format_address(self.mask)}"

    @property
    def is_host(self) -> bool:
        """Whether it is one address."""
        return self.mask == mask_for(self.address, address_bits(self.address))


@dataclass(slots=True)
class Rule:
    """A parsed rule. `jump` names a chain; `owner` is what its programmer declared, if anything."""

    source: Prefix | None = None
    destination: Prefix | None = None
    in_interface: tuple[str, bool] | None = None
    out_interface: tuple[str, bool] | None = None
    protocol: tuple[int, bool] | None = None
    fragment: bool | None = None
    matches: list[Match] = field(default_factory=list)
    target: Target | None = None
    jump: str = ""
    goto: bool = False
    owner: str = ""
    counter: Counter = field(default_factory=Counter)

    def test(self, packet: Packet, at: Evaluation) -> bool:
        """Whether the rule applies to a packet."""
        if self.destination is not None and not self.destination.test(packet.destination):
            return False
        if self.source is not None and not self.source.test(packet.source):
            return False
        if self.protocol is not None and (packet.protocol == self.protocol[0]) == self.protocol[1]:
            return False
        if self.in_interface is not None and not _named(at.in_name, self.in_interface):
            return False
        if self.out_interface is not None and not _named(at.out_name, self.out_interface):
            return False
        if self.fragment is not None and bool(packet.fragment & 0x1FFF) != self.fragment:
            return False
        return all(match.test(packet, at) for match in self.matches)

    @property
    def comment(self) -> str:
        """The text of its comment match."""
        return next((match.text for match in self.matches if isinstance(match, Comment)), "")

    @property
    def verdict(self) -> str:
        """What it does: a target's or a chain's name, "" for nothing."""
        return self.target.name if self.target is not None else self.jump

    @property
    def needs_conntrack(self) -> bool:
        """Whether connection tracking must run for this rule to work."""
        if self.target is not None and self.target.needs_conntrack:
            return True
        return any(getattr(match, "needs_conntrack", False) for match in self.matches)

    def specification(self) -> str:
        """The rule as iptables-save prints it, without `-A CHAIN`."""
        parts = self._ip_part()
        parts += [f"-m {match.name} {match.save()}".rstrip() for match in self.matches]
        if self.target is not None:
            parts.append(f"-j {self.target.name} {self.target.save()}".rstrip())
        elif self.jump:
            parts.append(f"{'-g' if self.goto else '-j'} {self.jump}")
        return " ".join(parts)

    def _ip_part(self) -> list[str]:
        parts = [
            f"{bang(prefix.inverted)}{option} {prefix.text()}"
            for option, prefix in (("-s", self.source), ("-d", self.destination))
            if prefix is not None
        ]
        parts += [
            f"{bang(interface[1])}{option} {interface[0]}"
            for option, interface in (("-i", self.in_interface), ("-o", self.out_interface))
            if interface is not None
        ]
        if self.protocol is not None:
            number, inverted = self.protocol
            parts.append(f"{bang(inverted)}-p {PROTOCOL_NAMES.get(number, str(number))}")
        if self.fragment is not None:
            parts.append("-f" if self.fragment else "! -f")
        return parts


def _named(name: str, wanted: tuple[str, bool]) -> bool:
    pattern, inverted = wanted
    hit = name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern
    return hit != inverted
