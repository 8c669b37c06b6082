"""Virtual services and their real servers (struct ip_vs_service, struct ip_vs_dest)."""

from typing import TYPE_CHECKING, Final, NamedTuple

from podwire.proto.packet.addresses import IPV6
from podwire.services.node.kernel.ipvs.statistics import Statistics

if TYPE_CHECKING:
    from podwire.services.node.kernel.ipvs.schedulers import Scheduler

SCHEDULE_FLAGS: Final = {
    "sh": {"sh-fallback": 1, "sh-port": 2},
    "mh": {"mh-fallback": 1, "mh-port": 2},
    "": {"flag-1": 1, "flag-2": 2, "flag-3": 4},
}
"""Names of the bits in `flags`, by scheduler."""


class ServiceKey(NamedTuple):
    """What packets find a service by: a firewall mark and family (see marked_key), or protocol, address and port."""

    fwmark: int
    protocol: int
    address: int
    port: int


def marked_key(mark: int, *, is_ipv6: bool) -> ServiceKey:
    """The key of a service that is found by a firewall mark: its address says the family."""
    return ServiceKey(mark, 0, IPV6 if is_ipv6 else 0, 0)


class Destination:
    """A real server. Connections are counted by whether they are established; `available` ends when it is deleted."""

    __slots__ = (
        *("active", "address", "available", "inactive", "last_weight", "lower", "overloaded", "persistent", "port"),
        *("service", "statistics", "upper", "weight"),
    )

    def __init__(self, service: "VirtualService", address: int, port: int, now: int) -> None:
        self.service = service
        self.address, self.port = address, port
        self.weight = self.last_weight = 1
        self.upper = self.lower = 0
        self.active = self.inactive = self.persistent = 0
        self.overloaded = False
        self.available = True
        self.statistics = Statistics(now)

    @property
    def usable(self) -> bool:
        """Whether new connections may come here."""
        return self.weight > 0 and not self.overloaded

    def set(self, weight: int, upper: int, lower: int, *, added: bool) -> None:
        """Weight and thresholds (__ip_vs_update_dest); a weight of 0 only lets connections run out."""
        if added or weight:
            self.last_weight = weight
        self.weight = weight
        if not upper or upper > self.upper:
            self.overloaded = False
        self.upper, self.lower = upper, lower

    def bound(self) -> None:
        """A connection was added (ip_vs_bind_dest)."""
        if self.upper and self.active + self.inactive >= self.upper:
            self.overloaded = True

    def unbound(self) -> None:
        """A connection is gone (ip_vs_unbind_dest)."""
        total = self.active + self.inactive
        if self.lower:
            self.overloaded = self.overloaded and total >= self.lower
        elif self.upper:
            self.overloaded = self.overloaded and total * 4 >= self.upper * 3
        else:
            self.overloaded = False


class VirtualService:
    """A service. `destinations` has the one that was added last first, as the kernel's list does."""

    __slots__ = (
        *("destinations", "flags", "key", "netmask", "one_packet", "persistent", "schedule_flags", "scheduler"),
        *("scheduler_name", "statistics"),
    )

    def __init__(self, key: ServiceKey, now: int) -> None:
        self.key = key
        self.scheduler_name = ""
        self.scheduler: Scheduler
        self.persistent = 0
        self.netmask = 0xFFFFFFFF
        self.one_packet = False
        self.schedule_flags = 0
        self.destinations: list[Destination] = []
        self.statistics = Statistics(now)

    def destination(self, address: int, port: int) -> Destination | None:
        """The real server at an endpoint."""
        return next((each for each in self.destinations if (each.address, each.port) == (address, port)), None)
