"""conntrack -L, -C, -D, -F (conntrack-tools), and sysctl, on the program's own namespace."""

from typing import Final, Literal, cast

from podwire.proto.messages import kernel as operations
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.netfilter import conntrack_list, conntrack_statistics
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options

_VERSION: Final = "conntrack v1.4.8 (conntrack-tools)"
_LONG: Final = {
    "dump": "L",
    "count": "C",
    "delete": "D",
    "flush": "F",
    "proto": "p:",
    "src": "s:",
    "orig-src": "s:",
    "dst": "d:",
    "orig-dst": "d:",
    "sport": "sport:",
    "dport": "dport:",
    "orig-port-src": "sport:",
    "orig-port-dst": "dport:",
    "reply-src": "r:",
    "reply-dst": "q:",
    "state": "state:",
    "output": "o:",
    "family": "f:",
}

_FILTERS: Final = (
    ("s", "src", 0),
    ("d", "dst", 0),
    ("sport", "sport", 0),
    ("dport", "dport", 0),
    ("r", "src", 1),
    ("q", "dst", 1),
)
"""Option, field, and which of the two directions it is about."""


async def conntrack(process: Process) -> int:
    """conntrack -L|-C|-D|-F|-S [-p PROTOCOL] [-s ADDRESS] [-d ADDRESS] [--dport PORT] …"""
    try:
        options = parse_options(process.arguments[1:], "LCDFSp:s:d:r:q:nf:o:", _LONG)
        command = next((letter for letter in "LCDFS" if letter in options), "")
        if not command:
            raise UsageError("You need to supply at least one command: -L, -C, -D, -F and -S are built")
    except UsageError as error:
        await process.complain(f"{_VERSION}: {error}\nTry `conntrack -h' or 'conntrack --help' for more information.")
        return 2
    if process.machine is None:
        await process.complain(f"{_VERSION}: Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability")
        return 1
    with process.network.shell.turn() as kernel:
        kernel.settle()
        family = "ipv6" if options.value("f") == "ipv6" else "ipv4"
        statistics = conntrack_statistics(kernel.namespace(process.network.namespace))
        text = conntrack_list(kernel.namespace(process.network.namespace), family)
    if command == "S":
        await process.print(statistics)
        return 0
    lines = [line for line in text.splitlines() if command in "CF" or _fits(line, options)]
    return await _act(process, command, lines, options)


def _fits(line: str, options: Options) -> bool:
    words = line.split()
    if any(letter in options and _nth(words, name, at) != options.value(letter) for letter, name, at in _FILTERS):
        return False
    if "p" in options and words[0] != options.value("p"):
        return False
    return "state" not in options or options.value("state") in words


def _nth(words: list[str], name: str, number: int) -> str:
    found = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return found[number] if number < len(found) else ""


async def _act(process: Process, command: str, lines: list[str], options: Options) -> int:
    match command:
        case "C":
            await process.print(f"{len(lines)}\n")
        case "L":
            await process.print("".join(f"{line}\n" for line in lines))
            await process.complain(f"{_VERSION}: {len(lines)} flow entries have been shown.")
        case "F":
            _delete(process, operations.ConntrackDelete(netns=process.network.namespace))
            await process.complain(f"{_VERSION}: connection tracking table has been emptied.")
        case "D":
            for line in lines:
                _delete(process, _deletion(process, line))
            await process.print("".join(f"{line}\n" for line in lines))
            await process.complain(f"{_VERSION}: {len(lines)} flow entries have been deleted.")
            return 0 if lines else 1
    return 0


def _deletion(process: Process, line: str) -> operations.ConntrackDelete:
    words = line.split()
    return operations.ConntrackDelete(
        netns=process.network.namespace,
        protocol=cast(Literal["tcp", "udp", "icmp", "icmpv6", "sctp"], words[0]),
        original_source=_nth(words, "src", 0),
        original_destination=_nth(words, "dst", 0),
        original_destination_port=int(_nth(words, "dport", 0) or 0),
        reply_source=_nth(words, "src", 1),
        reply_source_port=int(_nth(words, "sport", 1) or 0),
    )


def _delete(process: Process, operation: operations.ConntrackDelete) -> None:
    with process.network.shell.turn() as kernel:
        apply_operation(kernel, operation)


async def sysctl(process: Process) -> int:
    """sysctl [-n] [-a] [-w] KEY[=VALUE]…"""
    try:
        options = parse_options(process.arguments[1:], "nawe")
    except UsageError as error:
        await process.complain(f"sysctl: {error}")
        return 1
    with process.network.shell.turn() as kernel:
        settings = dict(sorted(kernel.namespace(process.network.namespace).sysctls.items()))
    code = 0
    for word in list(settings) if "a" in options else options.operands:
        key, equals, value = word.replace("/", ".").partition("=")
        if equals:
            complaint = _write(process, key.strip(), value.strip())
            if complaint:
                await process.complain(complaint)
                code = 1
                continue
            settings[key.strip()] = value.strip()
        if key.strip() not in settings:
            await process.complain(f"sysctl: cannot stat /proc/sys/{key.replace('.', '/')}: No such file or directory")
            code = 1
            continue
        shown = settings[key.strip()]
        await process.print(f"{shown}\n" if "n" in options else f"{key.strip()} = {shown}\n")
    return code


def _write(process: Process, key: str, value: str) -> str:
    if process.machine is None:
        return f'sysctl: setting key "{key}": Read-only file system'
    try:
        with process.network.shell.turn() as kernel:
            apply_operation(kernel, operations.SysctlWrite(netns=process.network.namespace, key=key, value=value))
    except KernelError as error:
        return error.strerror or "failed"
    return ""
