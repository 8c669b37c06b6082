"""ss (iproute2) and netstat (net-tools): the sockets of the namespace that the program runs in."""

from dataclasses import dataclass
from typing import Final

from podwire.proto.packet.addresses import format_address
from podwire.services.node.kernel.devices.device import Device
from podwire.services.node.kernel.namespace import Namespace
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.routes import routing_table

_SS_STATES: Final = {
    "ESTABLISHED": "ESTAB",
    "SYN_SENT": "SYN-SENT",
    "SYN_RECEIVED": "SYN-RECV",
    "FIN_WAIT_1": "FIN-WAIT-1",
    "FIN_WAIT_2": "FIN-WAIT-2",
    "TIME_WAIT": "TIME-WAIT",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "LAST_ACK": "LAST-ACK",
    "CLOSING": "CLOSING",
    "CLOSED": "CLOSED",
}
_ASSOCIATION: Final = "`- "
"""What stands before the state of an SCTP association, which follows its socket."""
_LETTERS: Final = {"tcp": "t", "udp": "u", "sctp": "S"}
_NETSTAT_STATES: Final = {"SYN_RECEIVED": "SYN_RECV", "FIN_WAIT_1": "FIN_WAIT1", "FIN_WAIT_2": "FIN_WAIT2"}
_SS_LONG: Final = {
    "tcp": "t",
    "udp": "u",
    "sctp": "S",
    "listening": "l",
    "all": "a",
    "numeric": "n",
    "processes": "p",
    "summary": "s",
    "no-header": "H",
    "oneline": "O",
    "info": "i",
    "extended": "e",
    "memory": "m",
    "options": "o",
    "ipv4": "4",
    "ipv6": "6",
}
_STATE_NAMES: Final = {
    "established": "ESTABLISHED",
    "listening": "LISTEN",
    "time-wait": "TIME_WAIT",
    "close-wait": "CLOSE_WAIT",
    "syn-sent": "SYN_SENT",
    "syn-recv": "SYN_RECEIVED",
    "fin-wait-1": "FIN_WAIT_1",
    "fin-wait-2": "FIN_WAIT_2",
    "last-ack": "LAST_ACK",
    "closing": "CLOSING",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One socket. `state` is RFC 9293's name, LISTEN, or "" for UDP without a peer; an association's has a mark."""

    protocol: str
    state: str
    waiting: int
    unsent: int
    local: tuple[str, int]
    remote: tuple[str, int]


def rows(namespace: Namespace) -> list[Row]:
    """Every socket: UDP, then listeners, then connections, each by port."""
    table = namespace.sockets
    found = [
        Row(
            "udp",
            "ESTABLISHED" if each.remote else "",
            each.waiting,
            0,
            each.local_endpoint,
            each.remote_endpoint or _nobody(each.local_endpoint),
        )
        for port in sorted(table.udp)
        for each in table.udp[port]
    ]
    found += [
        Row("tcp", "LISTEN", each.waiting, each.backlog, each.local_endpoint, _nobody(each.local_endpoint))
        for port in sorted(table.listeners)
        for each in table.listeners[port]
    ]
    for key in sorted(table.connections):
        socket = table.connections[key]
        local, remote = (format_address(key[0]), key[1]), (format_address(key[2]), key[3])
        found.append(Row("tcp", socket.state, socket.waiting, socket.unsent, local, remote))
    return found + _sctp_rows(namespace)


def _nobody(local: tuple[str, int]) -> tuple[str, int]:
    return ("::", 0) if ":" in local[0] else ("0.0.0.0", 0)


def _sctp_rows(namespace: Namespace) -> list[Row]:
    """Listeners, then each one-to-one socket with its association beneath it (inet_diag shows both)."""
    table = namespace.sockets.sctp
    found = [
        Row("sctp", "LISTEN", each.waiting, each.backlog, each.local_endpoint, _nobody(each.local_endpoint))
        for port in sorted(table.listeners)
        for each in table.listeners[port]
    ]
    for key in sorted(table.associations):
        socket = table.associations[key]
        (address, port), remote = socket.local_endpoint, (format_address(key[2]), key[3])
        opening = socket.state.startswith("COOKIE")
        device = next((each.name for each in namespace.devices.values() if _holds(each, key[0])), "lo")
        state = socket.state.removeprefix("SHUTDOWN_") if socket.state == "SHUTDOWN_ACK_SENT" else socket.state
        found.append(
            Row("sctp", "CLOSED" if opening else "ESTABLISHED", socket.waiting, 0, (address, port), remote),
        )
        under = _ASSOCIATION + ("ESTAB" if state == "ESTABLISHED" else state)
        found.append(Row("sctp", under, socket.waiting, socket.unsent, (f"{address}%{device}", port), remote))
    return found


def _holds(device: Device, address: int) -> bool:
    return any(each.address == address for each in device.addresses)


def _chosen(options: Options, row: Row) -> bool:
    if options.family and (":" in row.local[0]) != (options.family == "6"):
        return False
    if any(letter in options for letter in _LETTERS.values()) and _LETTERS[row.protocol] not in options:
        return False
    is_server = row.state in ("LISTEN", "")
    return "a" in options or is_server == ("l" in options)


def _endpoint(endpoint: tuple[str, int]) -> str:
    """As ss shows it: `*` for a socket of both families."""
    address = "*" if endpoint[0] == "::" else f"[{endpoint[0]}]" if ":" in endpoint[0] else endpoint[0]
    return f"{address}:{endpoint[1] or '*'}"


# -- ss


async def ss(process: Process) -> int:
    """ss [-tuSlanpsH] [state STATE] [sport = :PORT] [dport = :PORT]"""
    try:
        options = parse_options(process.arguments[1:], "tuSlanpsHOiemo46r", _SS_LONG)
        wanted = _filter(options.operands)
    except UsageError as error:
        await process.complain(f"ss: {error}\nUsage: ss [ OPTIONS ]\n       ss [ OPTIONS ] [ FILTER ]")
        return 1
    namespace = process.network.shell.kernel.namespace(process.network.namespace)
    everything = rows(namespace)
    if "s" in options:
        await process.print(_summary(everything))
        return 0
    chosen = [
        row for row in everything if (_chosen(options, row) or wanted.state == row.state != "") and wanted.fits(row)
    ]
    await process.print(_ss_text(options, chosen))
    return 0


@dataclass(slots=True)
class _Filter:
    state: str = ""
    source_port: int = 0
    destination_port: int = 0

    def fits(self, row: Row) -> bool:
        """Whether a socket passes."""
        return (
            self.state in ("", row.state)
            and self.source_port in (0, row.local[1])
            and self.destination_port in (0, row.remote[1])
        )


def _filter(words: list[str]) -> _Filter:
    found = _Filter()
    rest = [word for word in " ".join(words).replace("(", " ").replace(")", " ").split() if word != "and"]
    while rest:
        word = rest.pop(0)
        if word == "state" and rest and rest[0].lower() in _STATE_NAMES:
            found.state = _STATE_NAMES[rest.pop(0).lower()]
        elif word in ("sport", "dport") and rest:
            text = rest.pop(0) if rest[0] not in ("=", "==", "eq") or len(rest) < 2 else rest.pop(1) * bool(rest.pop(0))
            port = text.lstrip("=:")
            if not (port.isascii() and port.isdigit()) or len(port) > 5:
                raise UsageError(f"a filter's port {text!r} is none")
            if word == "sport":
                found.source_port = int(port)
            else:
                found.destination_port = int(port)
        else:
            raise UsageError(f"filter {word!r} is not built: state, sport and dport are")
    return found


def _ss_text(options: Options, chosen: list[Row]) -> str:
    with_protocol = sum(letter in options for letter in _LETTERS.values()) != 1
    header = ["State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process"]
    lines = [["Netid", *header] if with_protocol else header] if "H" not in options else []
    for row in chosen:
        state = _SS_STATES.get(row.state, row.state or "UNCONN")
        cells = [state, str(row.waiting), str(row.unsent), _endpoint(row.local), _endpoint(row.remote), ""]
        lines.append([row.protocol, *cells] if with_protocol else cells)
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> str:
    """Columns as ss -O has them: addresses to the right up to the colon, ports to the left after it."""
    if not lines:
        return ""
    count = len(lines[0])
    texts = [[""] * count for _ in lines]
    for column in range(count):
        cells = [line[column] for line in lines]
        if column >= count - 3 and column < count - 1:
            heads = max(len(cell.rpartition(":")[0]) for cell in cells)
            cells = [cell.rpartition(":")[0].rjust(heads) + ":" + cell.rpartition(":")[2] for cell in cells]
        width = max(map(len, cells))
        for line, cell in zip(texts, cells, strict=True):
            line[column] = cell.ljust(width)
    return "".join(" ".join(line).rstrip() + " \n" for line in texts)


def _summary(everything: list[Row]) -> str:
    tcp = [row for row in everything if row.protocol == "tcp"]
    states = {state: sum(row.state == state for row in tcp) for state in ("ESTABLISHED", "TIME_WAIT", "LISTEN")}
    udp = sum(row.protocol == "udp" for row in everything)
    inet = len(tcp) - states["TIME_WAIT"]
    return (
        f"Total: {len(everything)}\n"
        f"TCP:   {len(tcp)} (estab {states['ESTABLISHED']}, closed {states['TIME_WAIT']}, orphaned 0, "
        f"timewait {states['TIME_WAIT']})\n\n"
        "Transport Total     IP        IPv6\n"
        f"RAW\t  0         0         0        \nUDP\t  {udp:<9} {udp:<9} 0        \n"
        f"TCP\t  {inet:<9} {inet:<9} 0        \nINET\t  {inet + udp:<9} {inet + udp:<9} 0        \n"
        "FRAG\t  0         0         0        \n\n"
    )


# -- netstat


async def netstat(process: Process) -> int:
    """netstat [-tuSlanpr]"""
    long = {
        "tcp": "t",
        "udp": "u",
        "sctp": "S",
        "listening": "l",
        "all": "a",
        "numeric": "n",
        "route": "r",
        "program": "p",
    }
    try:
        options = parse_options(process.arguments[1:], "tuSlanprW46e", long)
    except UsageError as error:
        await process.complain(f"netstat: {error}\nusage: netstat [-tuSlanprW4e]")
        return 1
    namespace = process.network.shell.kernel.namespace(process.network.namespace)
    if "r" in options:
        await process.print(routing_table(namespace, "netstat", numeric="n" in options))
        return 0
    kind = "servers and established" if "a" in options else "only servers" if "l" in options else "w/o servers"
    lines = [f"Active Internet connections ({kind})"]
    tail = f"{'PID/Program name':<20}" if "p" in options else ""
    heads = ("Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State")
    lines.append("{:<5} {:<6} {:<6} {:<23} {:<23} {:<11} ".format(*heads) + tail)
    shown = [row for row in rows(namespace) if _chosen(options, row) and not row.state.startswith(_ASSOCIATION)]
    lines += [_netstat_line(row, named="p" in options) for row in reversed(shown)]
    await process.print("".join(f"{line}\n" for line in lines))
    return 0


def _netstat_line(row: Row, *, named: bool) -> str:
    unsent = 0 if row.state == "LISTEN" else row.unsent
    state = _NETSTAT_STATES.get(row.state, row.state)
    numbers = f"{row.protocol:<5} {row.waiting:>6} {unsent:>6}"
    local, remote = (f"{address}:{port or '*'}" for address, port in (row.local, row.remote))
    line = f"{numbers} {local:<23} {remote:<23} {state:<11} "
    return line + (f"{'-':<20}" if named else "")
