"""IPVS of one namespace: services, servers and timeouts, programmed as by its netlink family (ip_vs_ctl.c)."""

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import is_ipv6
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.ipvs.connections import SECOND, ConnectionTable
from podwire.services.node.kernel.ipvs.schedulers import SCHEDULERS
from podwire.services.node.kernel.ipvs.service import Destination, ServiceKey, VirtualService, marked_key
from podwire.services.node.kernel.ipvs.states import TIMEOUTS
from podwire.services.node.kernel.ipvs.statistics import Statistics

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

SYSCTLS: Final = {
    "net.ipv4.vs.conntrack": "0",
    "net.ipv4.vs.conn_reuse_mode": "1",
    "net.ipv4.vs.expire_nodest_conn": "0",
    "net.ipv4.vs.expire_quiescent_template": "0",
    "net.ipv4.vs.sloppy_sctp": "0",
    "net.ipv4.vs.sloppy_tcp": "0",
}
LARGEST_WEIGHT: Final = 0x7FFFFFFF


class Ipvs:
    """Services by their keys; `timeouts` are seconds by protocol and state."""

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.services: dict[ServiceKey, VirtualService] = {}
        self.connections = ConnectionTable(namespace)
        self.timeouts = {protocol: dict(states) for protocol, states in TIMEOUTS.items()}
        self.total = Statistics(0)
        self._trash: list[Destination] = []
        self._hooked = (False, 0)
        """Whether hooks look at packets, and whether what they balance is tracked, as last arranged."""

    @property
    def enabled(self) -> bool:
        """Whether packets are looked at."""
        return bool(self.services) or len(self.connections) > 0

    def sysctl(self, name: str) -> int:
        """A setting of net.ipv4.vs."""
        return int(self._namespace.sysctls[f"net.ipv4.vs.{name}"])

    def timeout(self, protocol: int, state: str) -> int:
        """How long a connection in a state lives without packets, in ns."""
        return self.timeouts[protocol][state] * SECOND

    def find(self, mark: int, protocol: int, address: int, port: int) -> VirtualService | None:
        """The service that a packet is for: by mark, then by endpoint, then one for every port (ip_vs_service_find)."""
        marked = self.services.get(marked_key(mark, is_ipv6=is_ipv6(address))) if mark else None
        return (
            marked
            or self.services.get(ServiceKey(0, protocol, address, port))
            or self.services.get(ServiceKey(0, protocol, address, 0))
        )

    # Programming

    def service(self, key: ServiceKey, missing: str = "No such service") -> VirtualService:
        """A service; KernelError ESRCH."""
        if key not in self.services:
            raise KernelError(errno.ESRCH, missing)
        return self.services[key]

    def add_service(self, key: ServiceKey, scheduler: str, **settings: int) -> None:
        """A new service; KernelError EEXIST, ENOENT (no such scheduler)."""
        if key in self.services:
            raise KernelError(errno.EEXIST, "Service already exists")
        service = VirtualService(key, self._namespace.kernel.now)
        self._set(service, scheduler, **settings)
        self.services[key] = service
        self._changed()

    def set_service(self, key: ServiceKey, scheduler: str, **settings: int) -> None:
        """Change a service's scheduler and flags; KernelError ESRCH, ENOENT."""
        self._set(self.service(key), scheduler, **settings)
        self._changed()

    def _set(
        self,
        service: VirtualService,
        scheduler: str,
        *,
        persistent: int = 0,
        netmask: int = 0xFFFFFFFF,
        one_packet: int = False,
        schedule_flags: int = 0,
    ) -> None:
        if scheduler not in SCHEDULERS:
            raise KernelError(errno.ENOENT, "Scheduler or persistence engine not found")
        service.persistent, service.netmask = persistent, netmask
        service.one_packet, service.schedule_flags = bool(one_packet), schedule_flags
        if service.scheduler_name != scheduler:
            service.scheduler_name = scheduler
            service.scheduler = SCHEDULERS[scheduler](service)

    def delete_service(self, key: ServiceKey) -> None:
        """Forget a service; its connections stay, without a server. KernelError ESRCH."""
        for server in list(self.service(key).destinations):
            self._unlink(server)
        del self.services[key]
        self._changed()

    def flush(self) -> None:
        """Forget every service."""
        for key in list(self.services):
            self.delete_service(key)

    def zero(self, key: ServiceKey | None = None) -> None:
        """Zero the counters of a service, or of all; KernelError ESRCH."""
        now = self._namespace.kernel.now
        services = list(self.services.values()) if key is None else [self.service(key)]
        for service in services:
            service.statistics.zero(now)
            for server in service.destinations:
                server.statistics.zero(now)
        if key is None:
            self.total.zero(now)

    def set_timeouts(self, tcp: int, tcp_fin: int, udp: int) -> None:
        """Seconds; 0 leaves one as it is."""
        for seconds, protocol, state in ((tcp, TCP, "ESTABLISHED"), (tcp_fin, TCP, "FIN_WAIT"), (udp, UDP, "UDP")):
            if seconds:
                self.timeouts[protocol][state] = seconds

    def add_destination(self, key: ServiceKey, address: int, port: int, weight: int, upper: int, lower: int) -> None:
        """A new server, first in the list; KernelError ESRCH, EEXIST, ERANGE."""
        service = self.service(key, "Service not defined")
        _check(weight, upper, lower)
        if is_ipv6(address) != is_ipv6(key.address):
            raise KernelError(errno.EINVAL, "Different address family is allowed only for tunneling servers")
        if service.destination(address, port) is not None:
            raise KernelError(errno.EEXIST, "Destination already exists")
        server = self._recycled(service, address, port) or Destination(
            service, address, port, self._namespace.kernel.now
        )
        server.set(weight, upper, lower, added=True)
        service.destinations.insert(0, server)
        service.scheduler.changed()
        self._changed()

    def _recycled(self, service: VirtualService, address: int, port: int) -> Destination | None:
        """A server that was deleted while connections went to it gets them back (ip_vs_trash_get_dest)."""
        self._trash = [each for each in self._trash if each.active or each.inactive or each.persistent]
        for server in self._trash:
            if (server.service.key, server.address, server.port) == (service.key, address, port):
                self._trash.remove(server)
                server.available, server.service = True, service
                return server
        return None

    def set_destination(self, key: ServiceKey, address: int, port: int, weight: int, upper: int, lower: int) -> None:
        """Change a server's weight and thresholds; KernelError ESRCH, ENOENT, ERANGE."""
        service = self.service(key, "Service not defined")
        _check(weight, upper, lower)
        self._server(service, address, port).set(weight, upper, lower, added=False)
        service.scheduler.changed()
        self._changed()

    def _server(self, service: VirtualService, address: int, port: int) -> Destination:
        server = service.destination(address, port)
        if server is None:
            raise KernelError(errno.ENOENT, "No such destination")
        return server

    def delete_destination(self, key: ServiceKey, address: int, port: int) -> None:
        """Take a server out: packets of its connections are dropped from now on. KernelError ESRCH, ENOENT."""
        service = self.service(key, "Service not defined")
        self._unlink(self._server(service, address, port))
        self._changed()

    def _unlink(self, server: Destination) -> None:
        service = server.service
        index = service.destinations.index(server)
        del service.destinations[index]
        server.available = False
        self._trash.append(server)
        service.scheduler.removed(index, server)

    def _changed(self) -> None:
        """Have hooks look, or no longer look, at packets; what is cached may be wrong."""
        now = self.enabled, self.sysctl("conntrack")
        if now == self._hooked:
            self._namespace.kernel.changed()
            return
        self._hooked = now
        self._namespace.netfilter.install({})
        self._namespace.netfilter6.install({})

    def ordered(self) -> Iterator[VirtualService]:
        """Services by mark, then family, protocol, address and port, as ipvsadm sorts them."""
        keys = sorted(self.services, key=lambda key: (key.fwmark, is_ipv6(key.address), key[1:]))
        yield from (self.services[key] for key in keys)


def _check(weight: int, upper: int, lower: int) -> None:
    if not 0 <= weight <= LARGEST_WEIGHT or lower > upper:
        raise KernelError(errno.ERANGE)
