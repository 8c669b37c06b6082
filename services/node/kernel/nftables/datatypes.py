"""The types of values: how each is written, read and ordered (nftables src/datatype.c)."""

from dataclasses import dataclass, field
from typing import Final

from podwire.proto.packet.addresses import (
    format_address,
    mask_for,
    parse_ipv4,
    parse_ipv6,
    prefix_mask,
    prefix_mask6,
)
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.nftables.errors import NftError

type Scalar = int | str
type Range = tuple[Scalar, Scalar]


@dataclass(frozen=True, slots=True)
class Datatype:
    """A type of one field. `width` is in bits (0: a string); `is_mask` values are sets of bits."""

    name: str
    width: int = 0
    symbols: dict[str, int] = field(default_factory=dict, hash=False, compare=False)
    is_hexadecimal: bool = False
    is_mask: bool = False
    per_line: int = 1
    """How many elements of a set stand on a line."""

    def parse(self, text: str) -> Scalar:
        """A value; NftError if it is none of this type."""
        if not self.width:
            return text
        if self.name in ("ipv4_addr", "ipv6_addr"):
            return _parse_address(self, text)
        if text in self.symbols:
            return self.symbols[text]
        try:
            number = int(text, 0)
        except ValueError:
            raise NftError(f"Could not parse {_DESCRIPTIONS.get(self.name, self.name)}") from None
        if not 0 <= number < 1 << self.width:
            raise NftError("Value too large" if number >= 0 else "negative value")
        return number

    def parse_range(self, text: str) -> Range:
        """A value, a prefix or a range, as its first and last value."""
        if self.name in ("ipv4_addr", "ipv6_addr") and "/" in text:
            return _parse_prefix(self, text)
        low, dash, high = text.partition("-")
        if dash and self.width and text not in self.symbols and high:
            first, last = self.parse(low), self.parse(high)
            if isinstance(first, int) and isinstance(last, int) and first > last:
                raise NftError("Range has zero or negative size")
            return first, last
        value = self.parse(text)
        return value, value

    def format(self, value: Scalar) -> str:
        """The text of a value."""
        if isinstance(value, str):
            return f'"{value}"'
        if self.name in ("ipv4_addr", "ipv6_addr"):
            return format_address(value)
        if self.is_mask:
            return ",".join(name for name, bit in self.symbols.items() if value & bit) or f"{value:#x}"
        for name, number in self.symbols.items():
            if number == value:
                return name
        return f"0x{value:0{self.width // 4}x}" if self.is_hexadecimal else str(value)

    def format_range(self, low: Scalar, high: Scalar) -> str:
        """The text of a value, prefix or range."""
        if low == high:
            return self.format(low)
        if self.name in ("ipv4_addr", "ipv6_addr") and isinstance(low, int) and isinstance(high, int):
            length = _prefix_length(low, high)
            if length is not None:
                return f"{format_address(low)}/{length}"
        return f"{self.format(low)}-{self.format(high)}"


def _parse_address(datatype: Datatype, text: str) -> int:
    try:
        return parse_ipv4(text) if datatype.name == "ipv4_addr" else parse_ipv6(text)
    except PacketError:
        raise NftError(f"Could not resolve hostname: {text}") from None


def _parse_prefix(datatype: Datatype, text: str) -> Range:
    address, _, length = text.partition("/")
    bits = 32 if datatype.name == "ipv4_addr" else 128
    if not length.isdigit() or int(length) > bits:
        raise NftError(f"invalid prefix length {length}")
    number = _parse_address(datatype, address)
    mask = mask_for(number, int(length))
    return number & mask, number & mask | ~mask & (1 << bits) - 1


def _prefix_length(low: int, high: int) -> int | None:
    bits, mask = (128, prefix_mask6) if low > 0xFFFFFFFF else (32, prefix_mask)
    length = bits - (high - low).bit_length()
    if low & mask(length) == low and low | ~mask(length) & (1 << bits) - 1 == high:
        return length
    return None


_DESCRIPTIONS: Final = {"inet_service": "Internet service", "inet_proto": "Internet protocol", "mark": "packet mark"}

PROTOCOLS: Final = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "sctp": 132,
}
ICMP_TYPES: Final = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
}
ICMPV6_TYPES: Final = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "mld2-listener-report": 143,
}
CT_STATES: Final = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
CT_STATUSES: Final = {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32}
TCP_FLAGS: Final = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
ADDRESS_TYPES: Final = {
    "unspec": 0,
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
}
DSCPS: Final = {
    "cs0": 0,
    "cs1": 8,
    "af11": 10,
    "cs2": 16,
    "cs3": 24,
    "cs4": 32,
    "cs5": 40,
    "ef": 46,
    "cs6": 48,
    "cs7": 56,
}

IPV4_ADDR: Final = Datatype("ipv4_addr", 32, per_line=2)
IPV6_ADDR: Final = Datatype("ipv6_addr", 128, per_line=1)
INET_PROTO: Final = Datatype("inet_proto", 8, PROTOCOLS, per_line=5)
INET_SERVICE: Final = Datatype("inet_service", 16, per_line=5)
MARK: Final = Datatype("mark", 32, is_hexadecimal=True, per_line=5)
IFNAME: Final = Datatype("ifname")
NF_PROTO: Final = Datatype("nf_proto", 8, {"ipv4": 2, "ipv6": 10}, per_line=5)
ETHER_TYPE: Final = Datatype("ether_type", 16, {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD}, per_line=5)
INTEGER: Final = Datatype("integer", 32, per_line=5)
BYTE: Final = Datatype("integer", 8, per_line=5)
ICMP_TYPE: Final = Datatype("icmp_type", 8, ICMP_TYPES, per_line=5)
ICMPV6_TYPE: Final = Datatype("icmpv6_type", 8, ICMPV6_TYPES, per_line=5)
DSCP: Final = Datatype("dscp", 6, DSCPS, per_line=5)
TCP_FLAG: Final = Datatype("tcp_flag", 8, TCP_FLAGS, is_mask=True, per_line=5)
CT_STATE: Final = Datatype("ct_state", 8, CT_STATES, is_mask=True, per_line=5)
CT_STATUS: Final = Datatype("ct_status", 8, CT_STATUSES, is_mask=True, per_line=5)
CT_DIRECTION: Final = Datatype("ct_dir", 8, {"original": 0, "reply": 1}, per_line=5)
ADDRESS_TYPE: Final = Datatype("fib_addrtype", 8, ADDRESS_TYPES, per_line=5)
VERDICT: Final = Datatype("verdict")

NAMED: Final = {
    each.name: each
    for each in (
        IPV4_ADDR,
        IPV6_ADDR,
        INET_PROTO,
        INET_SERVICE,
        MARK,
        IFNAME,
        NF_PROTO,
        ETHER_TYPE,
        ICMP_TYPE,
        ICMPV6_TYPE,
        DSCP,
        TCP_FLAG,
        CT_STATE,
        CT_STATUS,
        CT_DIRECTION,
        ADDRESS_TYPE,
        VERDICT,
    )
}
"""What may stand after `type`."""
