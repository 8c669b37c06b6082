"""What filters look at in an Ethernet frame. Pure; outside of the frame there is nothing (None), as for a BPF."""

from typing import Final, NamedTuple

IPV4, ARP, RARP, IPV6 = 0x0800, 0x0806, 0x8035, 0x86DD
TRANSPORTS: Final = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58, "igmp": 2, "esp": 50, "ah": 51}
_FRAGMENT_HEADER: Final = 44


def word(frame: bytes, at: int, size: int) -> int | None:
    """`size` bytes as a number."""
    return int.from_bytes(frame[at : at + size]) if at >= 0 and at + size <= len(frame) else None


def ethertype(frame: bytes) -> int:
    """The protocol that the frame carries."""
    return word(frame, 12, 2) or 0


class Upper(NamedTuple):
    """The transport protocol, and where its header begins (-1 in later fragments)."""

    protocol: int
    at: int


def upper(frame: bytes) -> Upper | None:
    """What an IP packet carries; for IPv6 its next header, beyond a fragment header if there is one."""
    kind = ethertype(frame)
    if kind == IPV4 and len(frame) >= 34:
        later = int.from_bytes(frame[20:22]) & 0x1FFF
        return Upper(frame[23], -1 if later else 14 + (frame[14] & 15) * 4)
    if kind == IPV6 and len(frame) >= 54:
        if frame[20] == _FRAGMENT_HEADER and len(frame) >= 62:
            return Upper(frame[54], -1)
        return Upper(frame[20], 54)
    return None


def addresses(frame: bytes, *, with_arp: bool = True) -> tuple[bytes, bytes] | None:
    """Source and destination: of IP packets, and of ARP's messages."""
    kind = ethertype(frame)
    if kind == IPV4 and len(frame) >= 34:
        return frame[26:30], frame[30:34]
    if kind == IPV6 and len(frame) >= 54:
        return frame[22:38], frame[38:54]
    if kind in (ARP, RARP) and with_arp and len(frame) >= 42:
        return frame[28:32], frame[38:42]
    return None


def ports(frame: bytes, protocols: tuple[int, ...]) -> tuple[int, int] | None:
    """Source and destination port of a packet of one of the protocols."""
    found = upper(frame)
    if found is None or found.protocol not in protocols or found.at < 0 or found.at + 4 > len(frame):
        return None
    return int.from_bytes(frame[found.at : found.at + 2]), int.from_bytes(frame[found.at + 2 : found.at + 4])


def base(frame: bytes, protocol: str) -> int | None:
    """Where `protocol[0]` is; transports are looked for in IPv4 only (pcap-filter(7)), and ICMPv6 in IPv6."""
    if protocol in ("ether", "link"):
        return 0
    kind = ethertype(frame)
    if protocol in ("ip", "ip6", "arp", "rarp"):
        return 14 if kind == {"ip": IPV4, "ip6": IPV6, "arp": ARP, "rarp": RARP}[protocol] else None
    found = upper(frame)
    if found is None or found.at < 0 or found.protocol != TRANSPORTS[protocol]:
        return None
    return found.at if (kind == IPV6) == (protocol == "icmp6") else None
