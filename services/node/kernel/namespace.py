"""A network namespace: devices, routes, neighbours, netfilter, sockets and sysctls of its own."""

from typing import TYPE_CHECKING, Final

from podwire.proto.packet.addresses import is_ipv6
from podwire.services.node.kernel import internet, multipath
from podwire.services.node.kernel.conntrack import sctp
from podwire.services.node.kernel.error_limits import ErrorLimits
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.fib import Fib, Route
from podwire.services.node.kernel.ipvs import director
from podwire.services.node.kernel.neighbours import NeighbourTable
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.nftables.tables import Nftables
from podwire.services.node.kernel.sockets.table import SocketTable

if TYPE_CHECKING:
    from podwire.services.node.kernel.devices.device import Device
    from podwire.services.node.kernel.devices.geneve import GeneveDevice
    from podwire.services.node.kernel.devices.ipip import IpipDevice
    from podwire.services.node.kernel.devices.vxlan import VxlanDevice
    from podwire.services.node.kernel.fragments import FragmentQueue, Key
    from podwire.services.node.kernel.kernel import Kernel
    from podwire.services.node.kernel.packet import Packet
    from podwire.services.node.kernel.sockets.capture import PacketSocket

DEFAULTS: Final = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.ip_default_ttl": "64",
    "net.ipv4.fib_multipath_hash_policy": "0",
    "net.ipv6.fib_multipath_hash_policy": "0",
    "net.ipv4.icmp_ratelimit": "1000",
    "net.ipv4.icmp_ratemask": "6168",
    "net.ipv6.icmp.ratelimit": "1000",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_unprivileged_port_start": "1024",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.route_localnet": "0",
    "net.ipv4.conf.all.forwarding": "0",
    "net.ipv4.conf.all.proxy_arp": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.all.forwarding": "0",
    "net.ipv6.bindv6only": "0",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.netfilter.nf_conntrack_max": "131072",
    "net.netfilter.nf_conntrack_tcp_be_liberal": "0",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": "60",
    "net.netfilter.nf_conntrack_udp_timeout": "30",
    "net.netfilter.nf_conntrack_udp_timeout_stream": "120",
    **sctp.SYSCTLS,
    **director.SYSCTLS,
}


class Namespace:
    """One namespace; `name` is "" for the machine's own."""

    def __init__(self, kernel: "Kernel", name: str, serial: int) -> None:
        self.kernel = kernel
        self.name = name
        self.serial = serial
        self.devices: dict[str, Device] = {}
        self.taps: list[PacketSocket] = []
        key = kernel.boot_id.encode()[:32]
        self.fib = Fib(key)
        self.fib6 = Fib(key, is_ipv6=True)
        self.neighbours = NeighbourTable(self)
        self.error_limits = ErrorLimits(self)
        self.sysctls = dict(DEFAULTS)
        self.nftables = Nftables()
        self.netfilter = Netfilter(self)
        self.netfilter6 = Netfilter(self, self.netfilter)
        self.ipvs = director.Ipvs(self)
        self.sockets = SocketTable(self)
        self.tunnels: dict[tuple[int, int, bool], VxlanDevice] = {}
        self.geneve_tunnels: dict[tuple[int, int, int], GeneveDevice] = {}
        self.ipip_tunnels: dict[tuple[int, int], IpipDevice] = {}
        self.fragments: dict[Key, FragmentQueue] = {}
        self.forwards = self.forwards6 = False
        self.bridge_calls_iptables = self.bridge_calls_ip6tables = False
        self._identification = kernel.random.getrandbits(16)
        self._last_index = 0
        self._loopback_routes: dict[int, Route] = {}
        self.refresh()

    def next_index(self) -> int:
        """The next interface index."""
        self._last_index += 1
        return self._last_index

    def next_identification(self) -> int:
        """The next IPv4 identification."""
        self._identification = (self._identification + 1) & 0xFFFF
        return self._identification

    def device(self, name: str) -> "Device":
        """A device by name; KernelError ENODEV."""
        try:
            return self.devices[name]
        except KeyError:
            raise KernelError(19, f'Cannot find device "{name}"') from None

    def write_sysctl(self, key: str, value: str) -> None:
        """Set a sysctl; KernelError ENOENT for one this kernel does not have, EINVAL for a bad value."""
        known = key in self.sysctls or any(
            key.startswith(f"net.{family}.conf.") and key.rpartition(".")[2] in names
            for family, names in _PER_DEVICE.items()
        )
        if not known:
            raise KernelError(2, f"sysctl: cannot stat /proc/sys/{key.replace('.', '/')}: No such file or directory")
        if not all(word.isascii() and word.isdigit() for word in value.split()) or not value.split():
            raise KernelError(22, f'sysctl: setting key "{key}": Invalid argument')
        if key.endswith(".fib_multipath_hash_policy") and value not in multipath.POLICIES:
            raise KernelError(22, f'sysctl: setting key "{key}": Invalid argument')
        self.sysctls[key] = value
        if key == "net.ipv4.conf.all.forwarding":
            self.sysctls["net.ipv4.ip_forward"] = value
        if key == "net.ipv4.ip_forward":
            self.sysctls["net.ipv4.conf.all.forwarding"] = value
        self.refresh()
        self.kernel.changed()

    def refresh(self) -> None:
        """Recompute what the datapath reads often."""
        self.fib.hash_policy = self.sysctls["net.ipv4.fib_multipath_hash_policy"]
        self.fib6.hash_policy = self.sysctls["net.ipv6.fib_multipath_hash_policy"]
        self.forwards = self.sysctls["net.ipv4.ip_forward"] != "0"
        call = self.sysctls["net.bridge.bridge-nf-call-iptables"] != "0"
        self.bridge_calls_iptables = call and self.netfilter.active
        self.forwards6 = self.sysctls["net.ipv6.conf.all.forwarding"] != "0"
        call6 = self.sysctls["net.bridge.bridge-nf-call-ip6tables"] != "0"
        self.bridge_calls_ip6tables = call6 and self.netfilter6.active

    def fib_for(self, address: int) -> Fib:
        """The forwarding tables of an address's family."""
        return self.fib6 if is_ipv6(address) else self.fib

    def is_tunnel_port(self, port: int) -> bool:
        """Whether a tunnel device listens on a UDP port."""
        tunnels = (*self.tunnels, *self.geneve_tunnels)
        return any(number == port for number, _, _ in tunnels)

    def device_sysctl(self, device: str, name: str, family: str = "ipv4") -> int:
        """The effective per-device setting: the larger of `all` and the device's own."""
        sysctls = self.sysctls
        everywhere = int(sysctls.get(f"net.{family}.conf.all.{name}", "0"))
        return max(everywhere, int(sysctls.get(f"net.{family}.conf.{device}.{name}", "0")))

    def masquerade_address(self, packet: "Packet") -> int | None:
        """What MASQUERADE translates to: the address that the outgoing device would use towards the next hop."""
        device = packet.out_device
        if device is None:
            return None
        route = self.fib_for(packet.destination).route(packet)
        next_hop = packet.destination if route is None or route.gateway is None else route.gateway
        return internet.source_on(device, next_hop)

    def loopback_route(self, route: Route) -> Route:
        """The same local route, but out of lo, as sending to oneself goes."""
        loopback = self.devices.get("lo")
        if loopback is route.device or loopback is None:
            return route
        return Route(route.destination, route.length, loopback, source=route.source, table="local", kind="local")


_PER_DEVICE: Final = {
    "ipv4": (
        "rp_filter",
        "route_localnet",
        "forwarding",
        "arp_ignore",
        "arp_announce",
        "accept_local",
        "proxy_arp",
    ),
    "ipv6": ("disable_ipv6", "forwarding", "accept_ra", "accept_dad", "proxy_ndp"),
}
