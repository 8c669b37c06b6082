"""Packet and byte counters, shared by devices, rules and chains."""


class Counter:
    """How many packets and bytes passed a point."""

    __slots__ = ("bytes", "packets")

    def __init__(self, packets: int = 0, octets: int = 0) -> None:
        self.packets = packets
        self.bytes = octets

    def set(self, packets: int, octets: int) -> None:
        """Set both, as iptables-restore -c does."""
        self.packets, self.bytes = packets, octets
