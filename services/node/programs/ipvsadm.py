"""ipvsadm (v1.31) on the program's own namespace."""

from dataclasses import dataclass, field
from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.ipvs.service import SCHEDULE_FLAGS, ServiceKey, VirtualService, marked_key
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.operations.ipvs import PROTOCOLS
from podwire.services.node.kernel.operations.text import address
from podwire.services.node.kernel.printing.ipvs import (
    ipvs_connections,
    ipvs_rules,
    ipvs_table,
    ipvs_timeouts,
)
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.pipes import read_all
from podwire.services.node.process import Process
from podwire.services.node.programs.ipvsadm_arguments import DEFAULT_SCHEDULER, CommandLine, Refused, read_arguments

VERSION: Final = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n"
_HELP: Final = (
    "Usage:\n"
    "  ipvsadm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [-b sched-flags]\n"
    "  ipvsadm -D virtual-service\n  ipvsadm -C\n  ipvsadm -R\n  ipvsadm -S [-n]\n"
    "  ipvsadm -a|e virtual-service -r server-address [options]\n"
    "  ipvsadm -d virtual-service -r server-address\n"
    "  ipvsadm -L|l [virtual-service] [options]\n"
    "  ipvsadm -Z [virtual-service]\n  ipvsadm --set tcp tcpfin udp\n  ipvsadm -h\n"
)
_NOT_ROOT: Final = (
    "Can't initialize ipvs: Permission denied (you must be root)\n"
    "Are you sure that IP Virtual Server is built in the kernel or as module?"
)
_ADDING: Final = {"A": operations.IpvsServiceAdd, "E": operations.IpvsServiceSet}
_SERVING: Final = {"a": operations.IpvsDestinationAdd, "e": operations.IpvsDestinationSet}
_FORMS: Final = ("stats", "rate", "thresholds", "persistent-conn")


@dataclass(slots=True)
class _Said:
    """What goes to the two outputs, and the exit code."""

    out: str = ""
    err: list[str] = field(default_factory=list)
    code: int = 0


async def ipvsadm(process: Process) -> int:
    """ipvsadm -A|-E|-D|-a|-e|-d|-C|-R|-S|-L|-Z|--set …"""
    words = process.arguments[1:]
    if process.machine is None:
        await process.complain(_NOT_ROOT)
        return 2
    try:
        line = read_arguments(words or ["-L"])
        if line.command == "R":
            said = await _restore(process)
        else:
            said = await _run(process, line)
    except Refused as error:
        said = _Said(err=[str(error)], code=error.code)
    await process.print(said.out)
    for text in said.err:
        await process.complain(text)
    return said.code


async def _restore(process: Process) -> _Said:
    """Every line of the input is a command line; one that is refused ends it (a failing one does not)."""
    said = _Said()
    for text in (await read_all(process.stdin)).decode(errors="replace").splitlines():
        words = text.partition("#")[0].split()
        if not words:
            continue
        line = read_arguments(words)
        if line.command == "R":
            raise Refused("Try `ipvsadm -h' or 'ipvsadm --help' for more information.", 255)
        one = await _run(process, line)
        said = _Said(said.out + one.out, said.err + one.err, one.code)
    return said


async def _run(process: Process, line: CommandLine) -> _Said:
    if line.command in "hv":
        return _Said(VERSION + (_HELP if line.command == "h" else ""))
    service = await _service(process, line)
    operation = await _operation(process, line, service)
    with process.network.shell.turn() as kernel:
        try:
            if operation is not None:
                apply_operation(kernel, operation)
                return _Said()
            return _Said(_shown(kernel, process, line, service))
        except KernelError as error:
            return _Said(err=[str(error.strerror)], code=255 if operation is not None else 1)


async def _endpoint(process: Process, text: str, what: str) -> tuple[str, int | None]:
    """`host[:port]`; the port is None if it is not given. Raises Refused."""
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, colon, port = text, "", ""
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    bad = Refused(f"illegal {what} address[:port] specified")
    if not host or host.isdigit() or (colon and not (port.isascii() and port.isdigit() and int(port) < 65536)):
        raise bad
    try:
        address(host)
    except KernelError:
        try:
            resolver = process.resolver()
            host = (await resolver.addresses(host))[0]
        except ResolutionFailure:
            raise bad from None
    return host, int(port) if colon else None


async def _service(process: Process, line: CommandLine) -> dict[str, Any]:
    if line.service is None:
        return {}
    protocol, text = line.service
    if protocol == "fwmark":
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1 << 32:
            raise Refused(f"invalid fwmark value `{text}' specified")
        return {"fwmark": int(text), "family": "ipv6" if line.wide else "ipv4"}
    host, port = await _endpoint(process, text, "virtual server")
    return {"protocol": protocol, "address": host, "port": port or 0}


async def _operation(process: Process, line: CommandLine, service: dict[str, Any]) -> Any:
    """What to do in the kernel, None for what only shows. Raises Refused."""
    common = {"netns": process.network.namespace, **service}
    match line.command:
        case "A" | "E":
            return _ADDING[line.command](**common, **_settings(line, service))
        case "D":
            return operations.IpvsServiceDelete(**common)
        case "a" | "e" | "d":
            return await _destination(process, line, service, common)
        case "C":
            return operations.IpvsFlush(netns=process.network.namespace)
        case "Z":
            return operations.IpvsZero(**common)
        case "set":
            tcp, fin, udp = line.timeouts
            return operations.IpvsTimeouts(netns=process.network.namespace, tcp=tcp, tcp_fin=fin, udp=udp)
    return None


def _settings(line: CommandLine, service: dict[str, Any]) -> dict[str, Any]:
    if not service.get("fwmark") and not service["port"] and not line.persistent:
        raise Refused("Zero port specified for non-persistent service")
    if line.one_packet and not service.get("fwmark") and service["protocol"] != "udp":
        raise Refused("One-Packet Scheduling is only for UDP virtual services")
    scheduler = line.scheduler or DEFAULT_SCHEDULER
    for flag in line.schedule_flags:
        owner = flag.partition("-")[0]
        if flag in SCHEDULE_FLAGS.get(owner, {}) and owner != scheduler:
            raise Refused(f"incompatible scheduler flag `{flag}'")
        if flag not in {**SCHEDULE_FLAGS[""], **SCHEDULE_FLAGS.get(scheduler, {})}:
            raise Refused(f"invalid scheduler flag `{flag}'")
    return {
        "scheduler": scheduler,
        "persistent": line.persistent,
        "netmask": line.netmask,
        "one_packet": line.one_packet,
        "schedule_flags": tuple(line.schedule_flags),
    }


async def _destination(process: Process, line: CommandLine, service: dict[str, Any], common: dict[str, Any]) -> Any:
    host, port = await _endpoint(process, line.server, "real server")
    port = service.get("port", 0) if port is None else port
    if line.command == "d":
        return operations.IpvsDestinationDelete(**common, server=host, server_port=port)
    if line.forward != "m":
        method = {"g": "gatewaying (-g, the default)", "i": "ipip (-i)"}[line.forward]
        raise Refused(f"forwarding method {method} is not built in podwire: masquerading (-m) is")
    return _SERVING[line.command](
        **common,
        server=host,
        server_port=port,
        weight=line.weight,
        upper_threshold=line.upper,
        lower_threshold=line.lower,
    )


def _shown(kernel: Kernel, process: Process, line: CommandLine, service: dict[str, Any]) -> str:
    kernel.settle()
    namespace = kernel.namespace(process.network.namespace)
    if line.command == "S":
        return ipvs_rules(namespace)
    if "connection" in line.listing:
        return ipvs_connections(namespace)
    only: VirtualService | None = None
    if service:
        mark = service.get("fwmark", 0)
        key = marked_key(mark, is_ipv6=line.wide)
        if not mark:
            key = ServiceKey(0, PROTOCOLS[service["protocol"]], address(service["address"]), service["port"])
        only = namespace.ipvs.service(key)
    elif "timeout" in line.listing:
        return ipvs_timeouts(namespace)
    form = next((each for each in _FORMS if each in line.listing), "")
    names = "numeric" not in line.listing
    return ipvs_table(namespace, form, only, exact="exact" in line.listing, names=names)
