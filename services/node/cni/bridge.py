"""The bridge plugin: a veth pair between the pod and a bridge (containernetworking/plugins, plugins/main/bridge)."""

from typing import Final

from podwire.proto.kube.families import IPV4, IPV6, family_of
from podwire.proto.messages import kernel as operations
from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.cni import host_local
from podwire.services.node.cni.plugin import (
    INVALID_CONFIGURATION,
    Arguments,
    Attachments,
    CniError,
    Configuration,
    Host,
    Result,
    Route,
)

_DEFAULT: Final = {IPV4: "0.0.0.0/0", IPV6: "::/0"}
_FORWARDING: Final = {IPV4: "net.ipv4.ip_forward", IPV6: "net.ipv6.conf.all.forwarding"}


def add(host: Host, configuration: Configuration, arguments: Arguments) -> Result:
    """Makes the bridge if need be, the veth pair, and the pod's address and routes."""
    if configuration.get("ipam", {}).get("type") != "host-local":
        raise CniError("bridge: only the host-local IPAM plugin is on this machine", INVALID_CONFIGURATION)
    bridge = str(configuration.get("bridge") or "cni0")
    _ensure_bridge(host, bridge, int(configuration.get("mtu") or 1500))
    name = _make_veth(host, configuration, arguments, bridge)
    try:
        leased = host_local.add(host, configuration, arguments)
        result = _configure_pod(host, configuration, arguments, leased)
        _configure_gateway(host, configuration, bridge, result)
    except CniError:
        delete(host, configuration, arguments)
        raise
    return Result(result.addresses, result.routes, (bridge, name, arguments.interface))


def _ensure_bridge(host: Host, bridge: str, mtu: int) -> None:
    known = host.links().get(bridge)
    if known is None:
        host.program(operations.LinkAdd(kind="bridge", name=bridge, mtu=mtu, up=True))
        host.program(operations.SysctlWrite(key=f"net.ipv6.conf.{bridge}.accept_ra", value="0"))
    elif known.kind != "bridge":
        raise CniError(f"{bridge} already exists but is not a bridge")
    elif not known.up:
        host.program(operations.LinkSet(name=bridge, up=True))


def _make_veth(host: Host, configuration: Configuration, arguments: Arguments, bridge: str) -> str:
    if arguments.interface in host.links(arguments.namespace):
        raise CniError(f"container veth name provided ({arguments.interface}) already exists")
    name = f"veth{hexadecimal(host.random, 8)}"
    mtu = int(configuration.get("mtu") or 1500)
    host.program(
        operations.LinkAdd(kind="veth", name=name, mtu=mtu, peer=arguments.interface, peer_netns=arguments.namespace)
    )
    hairpin = bool(configuration.get("hairpinMode"))
    host.program(operations.LinkSet(name=name, master=bridge, up=True, hairpin=hairpin))
    host.program(operations.LinkSet(netns=arguments.namespace, name=arguments.interface, up=True))
    return name


def _configure_pod(host: Host, configuration: Configuration, arguments: Arguments, leased: Result) -> Result:
    """Addresses and routes; a route without a gateway goes through its family's (pkg/ipam, ConfigureIface)."""
    namespace, device = arguments.namespace, arguments.interface
    gateways = {family_of(address.address): address.gateway for address in leased.addresses}
    routes = list(leased.routes)
    if configuration.get("isDefaultGateway"):
        routes += [Route(_DEFAULT[family], gateway) for family, gateway in gateways.items()]
    host.program(operations.SysctlWrite(netns=namespace, key=f"net.ipv6.conf.{device}.accept_dad", value="0"))
    for address in leased.addresses:
        host.program(operations.AddressAdd(netns=namespace, device=device, address=address.address))
    for route in routes:
        via = route.gateway or gateways.get(family_of(route.destination), "")
        host.program(operations.RouteAdd(netns=namespace, destination=route.destination, via=via, device=device))
    return Result(leased.addresses, tuple(routes))


def _configure_gateway(host: Host, configuration: Configuration, bridge: str, result: Result) -> None:
    if not configuration.get("isGateway"):
        return
    present = host.addresses()
    for address in result.addresses:
        wanted = f"{address.gateway}/{address.address.partition('/')[2]}"
        if (bridge, wanted) not in present:
            host.program(operations.AddressAdd(device=bridge, address=wanted))
            _keep_address(host, bridge)
        host.program(operations.SysctlWrite(key=_FORWARDING[family_of(wanted)], value="1"))


def _keep_address(host: Host, bridge: str) -> None:
    """Sets the bridge's MAC to itself: otherwise it is the lowest of its ports' and changes as they come and go, and
    pods lose their gateway (ensureAddr of the real plugin does the same)."""
    host.program(operations.LinkSet(name=bridge, address=host.links()[bridge].address))


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Frees the address and removes the pair; what is gone already is no error."""
    host_local.delete(host, configuration, arguments)
    try:
        known = host.links(arguments.namespace)
    except CniError:
        return
    if arguments.interface in known:
        host.program(operations.LinkDelete(netns=arguments.namespace, name=arguments.interface))


def check(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> None:
    """Whether the bridge, the pair, addresses and routes are as ADD left them. Raises CniError."""
    host_local.check(host, configuration, arguments)
    bridge, inside = str(configuration.get("bridge") or "cni0"), host.links(arguments.namespace)
    links = host.links()
    for name in before.interfaces[:2]:
        if name not in links:
            raise CniError(f"bridge: {name}: Link not found")
    if links[bridge].kind != "bridge":
        raise CniError(f"Bridge interface {bridge} not a bridge")
    if arguments.interface not in inside:
        raise CniError(f"Container interface name in prevResult {arguments.interface} not found")
    present = host.addresses(arguments.namespace)
    for address in before.addresses:
        if (arguments.interface, address.address) not in present:
            raise CniError(f"Failed to match addr {address.address} on interface {arguments.interface}")
    _check_routes(host, arguments, before)


def _check_routes(host: Host, arguments: Arguments, before: Result) -> None:
    """pkg/ip, ValidateExpectedRoute."""
    known = [
        route.destination
        for family in ("ipv4", "ipv6")
        for route in host.program(operations.Read(netns=arguments.namespace, kind="routes", family=family))
    ]
    for route in before.routes:
        if route.destination not in known:
            raise CniError(f"Expected Route {route.destination} not found in routing table")


def collect(host: Host, configuration: Configuration, valid: Attachments) -> None:
    """Frees what attachments held that are no more; their pairs went with their namespaces."""
    host_local.collect(host, configuration, valid)
