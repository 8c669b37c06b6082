"""The texts of ipvsadm (v1.31, ipvsadm.c): the table, statistics, rates, thresholds, connections, rules."""

from typing import Final

from podwire.proto.packet.addresses import format_address, is_ipv6
from podwire.proto.packet.ipv4 import TCP, UDP
from podwire.services.node.kernel.ipvs.connections import IpvsConnection
from podwire.services.node.kernel.ipvs.service import Destination, VirtualService
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.kernel.operations.ipvs import NAMES, all_connections, flag_names, netmask_text, timeouts

VERSION_LINE: Final = "IP Virtual Server version 1.2.1 (size=4096)\n"
_REMOTE: Final = "  -> RemoteAddress:Port"
_COLUMNS: Final = {
    "stats": ("Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"),
    "rate": ("CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"),
    "thresholds": ("Uthreshold", "Lthreshold", "ActiveConn", "InActConn"),
    "persistent-conn": ("Weight", "PersistConn", "ActiveConn", "InActConn"),
}
_WIDTHS: Final = {"thresholds": (10, 10, 10, 10), "persistent-conn": (9, 11, 10, 10)}
_EXACT: Final = 100_000_000
_PORTS: Final = {
    **{(TCP, port): name for port, name in ((22, "ssh"), (80, "http"), (443, "https"), (8080, "http-alt"))},
    **{(protocol, 53): "domain" for protocol in (TCP, UDP)},
    (UDP, 123): "ntp",
}
"""The few of /etc/services that are met as ports of services."""


def ipvs_table(
    namespace: Namespace,
    form: str = "",
    only: VirtualService | None = None,
    *,
    exact: bool = False,
    names: bool = False,
) -> str:
    """`ipvsadm -L [-n]`, of one service or of all; `form` is "", stats, rate, thresholds or persistent-conn.

    `names` has well-known ports by their names; addresses are never turned into host names.
    """
    head = f"Prot LocalAddress:Port Scheduler Flags\n{_REMOTE}           Forward Weight ActiveConn InActConn\n"
    if form:
        heads = _COLUMNS[form]
        if form in _WIDTHS:
            cells = [f"{name:<{width}}" for name, width in zip(heads, _WIDTHS[form], strict=True)]
        else:
            cells = [f"{name:>8}" for name in heads]
        head = f"{'Prot LocalAddress:Port':<33} {' '.join(cells)}\n{_REMOTE}\n"
    services = namespace.ipvs.ordered() if only is None else [only]
    body = "".join(_service(namespace, each, form, exact, names) for each in services)
    return ("" if only is not None else VERSION_LINE) + head + body


def _endpoint(address: int, port: int, protocol: int = 0, names: bool = False) -> str:
    name = _PORTS.get((protocol, port)) if names else None
    text = f"[{format_address(address)}]" if is_ipv6(address) else format_address(address)
    return f"{text}:{name or port}"


def _sorted(service: VirtualService) -> list[Destination]:
    return sorted(service.destinations, key=lambda server: (server.address, server.port))


def _service(namespace: Namespace, service: VirtualService, form: str, exact: bool, names: bool) -> str:
    key, now = service.key, namespace.kernel.now
    wide = is_ipv6(key.address)
    name = f"FWM  {key.fwmark}{' IPv6' * wide}" if key.fwmark else ""
    name = (
        name
        or f"{NAMES[key.protocol].upper():<4} {_endpoint(key.address, key.port, key.protocol, names)}"[
            : 33 if not wide else None
        ]
    )
    if form in ("stats", "rate"):
        numbers = service.statistics.totals if form == "stats" else service.statistics.rates(now)
        lines = [f"{name:<33}" + "".join(_large(number, exact) for number in numbers)]
    else:
        lines = [f"{name} {service.scheduler_name}{_flags(service)}"]
    lines += [_destination(server, form, now, exact, names) for server in _sorted(service)]
    return "".join(f"{line}\n" for line in lines)


def _flags(service: VirtualService) -> str:
    words = f" ({','.join(flag_names(service))})" if service.schedule_flags else ""
    if service.persistent:
        words += f" persistent {service.persistent}"
        mask = netmask_text(service)
        words += f" mask {mask}" if mask else ""
    return words + (" ops" if service.one_packet else "")


def _destination(server: Destination, form: str, now: int, exact: bool, names: bool) -> str:
    endpoint = _endpoint(server.address, server.port, server.service.key.protocol, names)
    line = f"  -> {endpoint if is_ipv6(server.address) else endpoint[:28]:<28}"
    if form == "stats":
        return line + "".join(_large(number, exact) for number in server.statistics.totals)
    if form == "rate":
        rates = server.statistics.rates(now)
        return f"{line} {rates[0]:>8} {rates[1]:>8} {rates[2]:>8}" + "".join(_large(each, exact) for each in rates[3:])
    if form:
        first = (server.upper, server.lower) if form == "thresholds" else (server.weight, server.persistent)
        numbers = (*first, server.active, server.inactive)
        cells = [f"{number:<{width}}" for number, width in zip(numbers, _WIDTHS[form], strict=True)]
        return f"{line} {' '.join(cells)}"
    return f"{line} {'Masq':<7} {server.weight:<6} {server.active:<10} {server.inactive:<10}"


def _large(number: int, exact: bool) -> str:
    """A number in nine columns (print_largenum)."""
    if exact:
        text = str(number)
        return f"{text:>9}" if len(text) <= 8 else f" {text}"
    if number < _EXACT:
        return f"{number:>9}"
    for limit, divisor, letter in ((10**9, 10**3, "K"), (10**11, 10**6, "M"), (10**14, 10**9, "G")):
        if number < limit:
            return f"{number // divisor:>8}{letter}"
    return f"{number // 10**12:>8}T"


def ipvs_connections(namespace: Namespace) -> str:
    """`ipvsadm -L -n -c`."""
    head = f"pro expire {'state':<11} {'source':<18} {'virtual':<18} destination"
    lines = [_connection(each, namespace.kernel.now) for each in all_connections(namespace)]
    return "".join(f"{line}\n" for line in ["IPVS connection entries", head, *lines])


def _connection(each: IpvsConnection, now: int) -> str:
    left = max((each.timer.deadline or now) - now, 0) // 1_000_000_000
    protocol = NAMES.get(each.protocol, "ip").upper()
    ends = [_endpoint(*each.client), _endpoint(*each.virtual), _endpoint(*each.server)]
    expire = f"{left // 60:02d}:{left % 60:02d}"
    return f"{protocol:<3} {expire:<6} {each.shown_state:<11} {ends[0]:<18} {ends[1]:<18} {ends[2]}"


def ipvs_rules(namespace: Namespace) -> str:
    """`ipvsadm -S -n`: what -R reads; thresholds are not in it, as in the real tool."""
    lines: list[str] = []
    for service in namespace.ipvs.ordered():
        option = service_option(service)
        line = f"-A {option} -s {service.scheduler_name}"
        if service.persistent:
            line += f" -p {service.persistent}"
            mask = netmask_text(service)
            line += f" -M {mask}" if mask else ""
        line += " -o" if service.one_packet else ""
        line += f" -b {','.join(flag_names(service))}" if service.schedule_flags else ""
        lines.append(line)
        lines += [
            f"-a {option} -r {_endpoint(server.address, server.port)} -m -w {server.weight}"
            for server in _sorted(service)
        ]
    return "".join(f"{line}\n" for line in lines)


def service_option(service: VirtualService) -> str:
    """How a service is named on a command line."""
    key = service.key
    if key.fwmark:
        return f"-f {key.fwmark}{' -6' * is_ipv6(key.address)}"
    option = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}[NAMES[key.protocol]]
    return f"{option} {_endpoint(key.address, key.port)}"


def ipvs_timeouts(namespace: Namespace) -> str:
    """`ipvsadm -L --timeout`."""
    seconds = timeouts(namespace)
    return f"Timeout (tcp tcpfin udp): {seconds['tcp']} {seconds['tcp_fin']} {seconds['udp']}\n"
