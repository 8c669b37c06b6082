"""ipvsadm's command lines: popt's reading, and which option goes with which command (ipvsadm.c). Pure."""

from dataclasses import dataclass, field
from typing import Final

DEFAULT_SCHEDULER: Final = "wlc"
PERSISTENT_TIMEOUT: Final = 360
_LONGEST: Final = 31 * 24 * 3600
_COMMANDS: Final = {
    "-A": "A",
    "--add-service": "A",
    "-E": "E",
    "--edit-service": "E",
    "-D": "D",
    "--delete-service": "D",
    "-a": "a",
    "--add-server": "a",
    "-e": "e",
    "--edit-server": "e",
    "-d": "d",
    "--delete-server": "d",
    "-C": "C",
    "--clear": "C",
    "-R": "R",
    "--restore": "R",
    "-S": "S",
    "--save": "S",
    "-L": "L",
    "-l": "L",
    "--list": "L",
    "-Z": "Z",
    "--zero": "Z",
    "--set": "set",
    "-h": "h",
    "--help": "h",
    "-v": "v",
    "--version": "v",
    "--start-daemon": "daemon",
    "--stop-daemon": "daemon",
}
_NAMES: Final = {
    "A": "add-service",
    "E": "edit-service",
    "D": "delete-service",
    "C": "flush",
    "L": "list",
    "a": "add-server",
    "d": "delete-server",
    "e": "edit-server",
    "set": "set",
    "R": "restore",
    "S": "save",
    "Z": "zero",
}
_OPTIONS: Final = {
    "-n": "numeric",
    "--numeric": "numeric",
    "-c": "connection",
    "--connection": "connection",
    "-t": "service-address",
    "--tcp-service": "service-address",
    "-u": "service-address",
    "--udp-service": "service-address",
    "--sctp-service": "service-address",
    "-f": "service-address",
    "--fwmark-service": "service-address",
    "-s": "scheduler",
    "--scheduler": "scheduler",
    "-p": "persistent",
    "--persistent": "persistent",
    "-M": "netmask",
    "--netmask": "netmask",
    "-r": "real-server",
    "--real-server": "real-server",
    "-g": "forwarding-method",
    "--gatewaying": "forwarding-method",
    "-i": "forwarding-method",
    "--ipip": "forwarding-method",
    "-m": "forwarding-method",
    "--masquerading": "forwarding-method",
    "-w": "weight",
    "--weight": "weight",
    "-x": "u-threshold",
    "--u-threshold": "u-threshold",
    "-y": "l-threshold",
    "--l-threshold": "l-threshold",
    "--timeout": "timeout",
    "--daemon": "daemon",
    "--stats": "stats",
    "--rate": "rate",
    "--thresholds": "thresholds",
    "--persistent-conn": "persistent-conn",
    "--nosort": "nosort",
    "--sort": "",
    "-6": "ipv6",
    "--ipv6": "ipv6",
    "-X": "exact",
    "--exact": "exact",
    "-o": "ops",
    "--ops": "ops",
    "-b": "sched-flags",
    "--sched-flags": "sched-flags",
}
_ORDER: Final = (
    *("numeric", "connection", "service-address", "scheduler", "persistent", "netmask", "real-server"),
    *("forwarding-method", "weight", "u-threshold", "l-threshold", "timeout", "daemon", "stats", "rate"),
    *("thresholds", "persistent-conn", "nosort", "exact", "ops", "sched-flags"),
)
_RULES: Final = {
    "A": "xx+   xxxxxxxxxxxxx  ",
    "E": "xx+   xxxxxxxxxxxxx  ",
    "D": "xx+xxxxxxxxxxxxxxxxxx",
    "C": "xxxxxxxxxxxxxxxxxxxxx",
    "L": " 11xxxxxxxx11      xx",
    "a": "xx+xxx+    xxxxxxxxxx",
    "d": "xx+xxx+xxxxxxxxxxxxxx",
    "e": "xx+xxx+    xxxxxxxxxx",
    "set": "xxxxxxxxxxxxxxxxxxxxx",
    "R": "xxxxxxxxxxxxxxxxxxxxx",
    "S": " xxxxxxxxxxxxxxxxxxxx",
    "Z": "xx xxxxxxxxxxxxxxxxxx",
}
"""Command → for each option of `_ORDER`: + required, x illegal, 1 only one of these (commands_v_options)."""
_VALUED: Final = (
    *("service-address", "scheduler", "netmask", "real-server", "weight", "u-threshold", "l-threshold"),
    "sched-flags",
)
_PROTOCOLS: Final = {
    "-t": "tcp",
    "--tcp-service": "tcp",
    "-u": "udp",
    "--udp-service": "udp",
    "--sctp-service": "sctp",
    "-f": "fwmark",
    "--fwmark-service": "fwmark",
}
_TRY_HELP: Final = "Try `ipvsadm -h' or 'ipvsadm --help' for more information."


class Refused(Exception):
    """A command line that the tool refuses, in its words; `code` is the exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class CommandLine:
    """One command. `service` is (protocol or "fwmark", text); `listing` holds the options of -L, `wide` means IPv6."""

    command: str = ""
    service: tuple[str, str] | None = None
    scheduler: str = ""
    persistent: int = 0
    netmask: str = ""
    server: str = ""
    forward: str = "g"
    wide: bool = False
    weight: int = 1
    upper: int = 0
    lower: int = 0
    one_packet: bool = False
    schedule_flags: list[str] = field(default_factory=list)
    timeouts: tuple[int, int, int] = (0, 0, 0)
    listing: list[str] = field(default_factory=list)


def read_arguments(words: list[str]) -> CommandLine:
    """A command line from its words. Raises Refused."""
    rest = _separated(words)
    command = _COMMANDS.get(rest.pop(0), "")
    if not command:
        raise Refused(_TRY_HELP, 255)
    if command == "daemon":
        raise Refused("the connection sync daemon is not built in podwire")
    line, given, operands = CommandLine(command), [], []
    while rest:
        word = rest.pop(0)
        if word in _COMMANDS:
            raise Refused(f"invalid option `{word}'" if command else "multiple commands specified")
        option = _OPTIONS.get(word)
        if option is None and word.startswith("-") and word != "-":
            raise Refused(f"{word}: unknown option", 255)
        if option is None:
            operands.append(word)
        elif option == "ipv6":
            if line.service is None or line.service[0] != "fwmark":
                raise Refused("-6 used before -f\n")
            line.wide = True
        elif option:
            if option in given:
                raise Refused(f"multiple '{option}' options specified")
            given.append(option)
            _take(line, word, option, rest)
    if command == "set":
        line.timeouts = _read_timeouts(operands)
        operands = operands[3:]
    if operands:
        raise Refused(f"unexpected argument {operands[0]}")
    _check(command, given)
    line.listing = given
    return line


def _separated(words: list[str]) -> list[str]:
    """Letters that stand together (-Ln, -Lnc) apart, and --name=value in two."""
    rest: list[str] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            rest += [name, value] if equals else [name]
        elif word.startswith("-") and len(word) > 2 and not word[1].isdigit():
            for at, letter in enumerate(word[1:], 1):
                rest.append(f"-{letter}")
                if _OPTIONS.get(f"-{letter}") in _VALUED and word[at + 1 :]:
                    rest.append(word[at + 1 :])
                    break
        else:
            rest.append(word)
    return rest


def _number(text: str, low: int, high: int, complaint: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12 or not low <= int(text) <= high:
        raise Refused(complaint)
    return int(text)


def _take(line: CommandLine, word: str, option: str, rest: list[str]) -> None:
    value = ""
    if option in _VALUED:
        if not rest:
            raise Refused(f"{word}: missing argument", 255)
        value = rest.pop(0)
    largest = (1 << 31) - 1
    match option:
        case "service-address":
            line.service = (_PROTOCOLS[word], value)
        case "scheduler":
            line.scheduler = value
        case "persistent":
            line.persistent = PERSISTENT_TIMEOUT
            if rest and not rest[0].startswith("-"):
                text = rest.pop(0)
                line.persistent = _number(text, 1, _LONGEST, f"invalid timeout value `{text}' specified")
        case "netmask":
            line.netmask = value
            if line.wide or (line.service is not None and line.service[1].startswith("[")):
                _number(value, 1, 128, "illegal ipv6 netmask specified")
                return
            parts = value.split(".")
            if len(parts) != 4 or not all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
                raise Refused("illegal virtual server persistent mask specified")
        case "real-server":
            line.server = value
        case "forwarding-method":
            line.forward = word.strip("-")[0]
        case "weight":
            line.weight = _number(value, 0, largest, "illegal weight specified")
        case "u-threshold":
            line.upper = _number(value, 0, largest, "illegal u_threshold specified")
        case "l-threshold":
            line.lower = _number(value, 0, largest, "illegal l_threshold specified")
        case "ops":
            line.one_packet = True
        case "sched-flags":
            line.schedule_flags = value.split(",")


def _read_timeouts(operands: list[str]) -> tuple[int, int, int]:
    if len(operands) < 3:
        raise Refused("--set option requires 3 timeout values")
    tcp, fin, udp = (_number(text, 0, _LONGEST, f"invalid timeout value `{text}' specified") for text in operands[:3])
    return tcp, fin, udp


def _check(command: str, given: list[str]) -> None:
    """Options that are missing, illegal or exclude each other (generic_opt_check, and CMD_LIST's own check)."""
    if command not in _RULES:
        return
    exclusive = ""
    for option, rule in zip(_ORDER, _RULES[command], strict=True):
        if option not in given:
            if rule == "+":
                raise Refused(f"You need to supply the '{option}' option for the '{_NAMES[command]}' command")
        elif rule == "x":
            raise Refused(f"Illegal '{option}' option with the '{_NAMES[command]}' command")
        elif rule == "1":
            if exclusive:
                raise Refused(
                    f"The option '{option}' conflicts with the '{exclusive}' option in the '{_NAMES[command]}' command"
                )
            exclusive = option
    alone = {"connection", "timeout", "daemon"}.intersection(given)
    if alone and {"stats", "rate", "thresholds"}.intersection(given):
        raise Refused("options conflicts in the list command")
    if "daemon" in given:
        raise Refused("the connection sync daemon is not built in podwire")
