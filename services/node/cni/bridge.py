"""The bridge plugin: a veth pair between the pod and a bridge (containernetworking/plugins, plugins/main/bridge)."""

from podwire.proto.messages import kernel as operations
from podwire.services.chassis.chance import hexadecimal
from podwire.services.node.cni import host_local
from podwire.services.node.cni.plugin import (
    INVALID_CONFIGURATION,
    Arguments,
    CniError,
    Configuration,
    Host,
    Result,
    Route,
)


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
    namespace, device = arguments.namespace, arguments.interface
    gateway = leased.addresses[0].gateway
    routes = list(leased.routes)
    if configuration.get("isDefaultGateway"):
        routes.append(Route("0.0.0.0/0", gateway))
    for address in leased.addresses:
        host.program(operations.AddressAdd(netns=namespace, device=device, address=address.address))
    for route in routes:
        host.program(
            operations.RouteAdd(
                netns=namespace, destination=route.destination, via=route.gateway or gateway, device=device
            )
        )
    return Result(leased.addresses, tuple(routes))


def _configure_gateway(host: Host, configuration: Configuration, bridge: str, result: Result) -> None:
    if not configuration.get("isGateway"):
        return
    present: list[operations.LinkAddress] = host.program(operations.Read(kind="addresses"))
    for address in result.addresses:
        wanted = f"{address.gateway}/{address.address.partition('/')[2]}"
        if not any(entry.device == bridge and entry.address == wanted for entry in present):
            host.program(operations.AddressAdd(device=bridge, address=wanted))
            _keep_address(host, bridge)
    host.program(operations.SysctlWrite(key="net.ipv4.ip_forward", value="1"))


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
