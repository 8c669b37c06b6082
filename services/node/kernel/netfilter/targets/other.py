"""Targets that let the packet go on: MARK, CLASSIFY, LOG, CT, NOTRACK."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.targets.base import CONTINUE, Target
from podwire.services.node.kernel.netfilter.words import parse_number, parse_value_mask, quote
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


def marking(option: str, value: int, mask: int) -> tuple[int, int]:
    """What an option of MARK or CONNMARK means: what to XOR after the bits of the mask are cleared, and the mask."""
    return {
        "set-xmark": (value, mask),
        "set-mark": (value, mask | value),
        "or-mark": (value, value),
        "and-mark": (0, ~value & 0xFFFFFFFF),
        "xor-mark": (value, 0),
    }[option]


def marking_words(value: int, mask: int) -> str:
    """A marking as `iptables -L` prints it."""
    if value == 0:
        return f"and {~mask & 0xFFFFFFFF:#x}"
    if value == mask:
        return f"or {value:#x}"
    if mask == 0:
        return f"xor {value:#x}"
    return f"set {value:#x}" if mask == 0xFFFFFFFF else f"xset {value:#x}/{mask:#x}"


class MarkTarget(Target):
    """MARK: clear the bits of `mask`, then XOR `value`."""

    name = "MARK"
    options: ClassVar = {"set-xmark": 1, "set-mark": 1, "or-mark": 1, "and-mark": 1, "xor-mark": 1}

    def __init__(self) -> None:
        self.operation: tuple[int, int] | None = None

    def accept(self, option: str, values: Sequence[str]) -> None:
        self.operation = marking(option, *parse_value_mask(values[0], "mark"))

    def finish(self) -> None:
        if self.operation is None:
            raise NetfilterError("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required")

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        assert self.operation is not None
        value, mask = self.operation
        packet.mark = packet.mark & ~mask & 0xFFFFFFFF ^ value
        return CONTINUE

    def save(self) -> str:
        assert self.operation is not None
        return "--set-xmark {:#x}/{:#x}".format(*self.operation)

    def describe(self) -> str:
        assert self.operation is not None
        return f"MARK {marking_words(*self.operation)}"


class Classify(Target):
    """CLASSIFY: choose the class of a queue discipline (net/netfilter/xt_CLASSIFY.c)."""

    name = "CLASSIFY"
    options: ClassVar = {"set-class": 1}
    hooks = ("OUTPUT", "FORWARD", "POSTROUTING")

    def __init__(self) -> None:
        self.priority: int | None = None

    def accept(self, option: str, values: Sequence[str]) -> None:
        major, colon, minor = values[0].partition(":")
        try:
            numbers = int(major, 16), int(minor, 16)
        except ValueError:
            colon = ""
            numbers = 0, 0
        if not colon or max(numbers) > 0xFFFF or min(numbers) < 0:
            raise NetfilterError(f"Bad class value `{values[0]}'")
        self.priority = numbers[0] << 16 | numbers[1]

    def finish(self) -> None:
        if self.priority is None:
            raise NetfilterError('CLASSIFY: option "--set-class" must be specified')

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        assert self.priority is not None
        packet.priority = self.priority
        return CONTINUE

    def save(self) -> str:
        return f"--set-class {self._text()}"

    def describe(self) -> str:
        return f"CLASSIFY set {self._text()}"

    def _text(self) -> str:
        assert self.priority is not None
        return f"{self.priority >> 16:x}:{self.priority & 0xFFFF:x}"


class Log(Target):
    """LOG: one line in the kernel's log."""

    name = "LOG"
    options: ClassVar = {
        "log-prefix": 1,
        "log-level": 1,
        "log-uid": 0,
        "log-ip-options": 0,
        "log-tcp-options": 0,
        "log-tcp-sequence": 0,
    }

    def __init__(self) -> None:
        self.prefix = ""
        self.level = 4
        self.flags: list[str] = []

    def accept(self, option: str, values: Sequence[str]) -> None:
        if option == "log-prefix":
            self.prefix = values[0][:29]
        elif option == "log-level":
            names = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
            named = values[0] in names
            self.level = names.index(values[0]) if named else parse_number(values[0], 0, 7, "log level")
        else:
            self.flags.append(option)

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        packet.recording = None
        line = f"{self.prefix}IN={at.in_name} OUT={at.out_name} {packet.summary()}"
        at.namespace.kernel.log.append(line)
        return CONTINUE

    def save(self) -> str:
        parts = [f"--log-prefix {quote(self.prefix)}"] if self.prefix else []
        parts += [f"--log-level {self.level}"] if self.level != 4 else []
        return " ".join(parts + [f"--{flag}" for flag in self.flags])

    def describe(self) -> str:
        bits = {"log-tcp-sequence": 1, "log-tcp-options": 2, "log-ip-options": 4, "log-uid": 8}
        text = f"LOG flags {sum(bits[flag] for flag in self.flags)} level {self.level}"
        return text + (f' prefix "{self.prefix}"' if self.prefix else "")


class NoTrack(Target):
    """NOTRACK: keep connection tracking off this packet."""

    name = "NOTRACK"
    tables = ("raw",)

    def apply(self, packet: Packet, at: "Evaluation") -> str:
        if packet.connection is None:
            packet.connection_state = "UNTRACKED"
        return CONTINUE


class ConntrackTarget(NoTrack):
    """CT, of which `--notrack` is known."""

    name = "CT"
    options: ClassVar = {"notrack": 0}

    def __init__(self) -> None:
        self.notrack = False

    def accept(self, option: str, values: Sequence[str]) -> None:
        self.notrack = True

    def finish(self) -> None:
        if not self.notrack:
            raise NetfilterError("CT: only --notrack is supported")

    def save(self) -> str:
        return "--notrack"

    def describe(self) -> str:
        return "CT notrack"
