"""What a rule does: conditions, verdicts, counters, marks, translation (nft(8), STATEMENTS).

`run` answers NEXT (go on with this rule), MISS (try the next rule), or a verdict.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.ethernet import TYPE_IPV6
from podwire.services.node.kernel.conntrack import nat
from podwire.services.node.kernel.conntrack.nat import NatRange
from podwire.services.node.kernel.counters import Counter
from podwire.services.node.kernel.netfilter.targets.nat import LOOPBACK, LOOPBACK6
from podwire.services.node.kernel.netfilter.targets.reject import Reject, Reject6
from podwire.services.node.kernel.nftables.datatypes import Datatype, Scalar
from podwire.services.node.kernel.nftables.expressions import Expression
from podwire.services.node.kernel.nftables.sets import Element, Key, NftSet
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Verdict:
    """accept, drop, return, continue, jump or goto (with its chain)."""

    kind: str
    chain: str = ""

    def text(self) -> str:
        """How nft writes it."""
        return f"{self.kind} {self.chain}".rstrip()


NEXT: Final = Verdict("next")
MISS: Final = Verdict("miss")
ACCEPT: Final = Verdict("accept")
DROP: Final = Verdict("drop")


class Statement(ABC):
    """One part of a rule."""

    @property
    def needs_conntrack(self) -> bool:
        """Whether connections must be tracked for it to work."""
        return False

    @abstractmethod
    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        """Act on a packet."""

    @abstractmethod
    def text(self) -> str:
        """How nft writes it."""


@dataclass(slots=True)
class SetReference:
    """`@name`, found when asked: the set may be replaced by a later transaction; or an anonymous one."""

    find: Callable[[], NftSet | None]
    name: str = ""

    def text(self, print_anonymous: Callable[[NftSet], str]) -> str:
        """`@name`, or the elements in braces."""
        found = self.find()
        return f"@{self.name}" if self.name or found is None else print_anonymous(found)


@dataclass(slots=True)
class Match(Statement):
    """A comparison: with a constant, a range, the members of a set, or bits under a mask."""

    left: Expression
    operator: str
    ranges: tuple[tuple[Scalar, Scalar], ...] = ()
    members: SetReference | None = None
    mask: int | None = None
    print_set: Callable[[NftSet], str] = lambda _: ""

    @property
    def needs_conntrack(self) -> bool:
        return uses_conntrack(self.left)

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        values = self.left.load(packet, at)
        if values is None:
            return MISS
        hit = self._in_set(values, packet, at) if self.members is not None else self._compare(values)
        return NEXT if hit else MISS

    def _in_set(self, values: Key, packet: Packet, at: "Evaluation") -> bool:
        assert self.members is not None
        found = self.members.find()
        if found is not None and found.is_dynamic:
            packet.recording = None
        hit = found is not None and found.find(values, at.namespace.kernel.now) is not None
        return hit != (self.operator == "!=")

    def _compare(self, values: Key) -> bool:
        value, (low, high) = values[0], self.ranges[0]
        if isinstance(value, str) or isinstance(low, str) or isinstance(high, str):
            return _names_match(str(low), str(value)) != (self.operator == "!=")
        if self.mask is not None:
            return (value & self.mask == low) != (self.operator == "!=")
        if self.left.fields[0].is_mask and self.operator in ("", "!="):
            return bool(value & low) != (self.operator == "!=")
        match self.operator:
            case "!=":
                return not low <= value <= high
            case "<":
                return value < low
            case ">":
                return value > low
            case "<=":
                return value <= low
            case ">=":
                return value >= low
            case _:
                return low <= value <= high

    def text(self) -> str:
        datatype = self.left.fields[0]
        if self.members is not None:
            right = self.members.text(self.print_set)
        elif self.mask is not None:
            right = f"{datatype.format(self.ranges[0][0])} / {datatype.format(self.mask)}"
        else:
            right = datatype.format_range(*self.ranges[0])
            if datatype.is_mask and self.operator == "!=":
                right = right.replace(",", " | ")
        operator = "" if self.operator == "==" and " & " not in self.left.text() else self.operator
        return " ".join(word for word in (self.left.text(), operator, right) if word)


def _names_match(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def uses_conntrack(expression: Expression) -> bool:
    """Whether an expression, or a part of it, reads a connection."""
    inner = getattr(expression, "parts", None) or [getattr(expression, "inner", None)]
    return expression.needs_conntrack or any(uses_conntrack(each) for each in inner if each is not None)


@dataclass(slots=True)
class VerdictMap(Statement):
    """`vmap`: the verdict that stands beside the packet's key."""

    key: Expression
    members: SetReference
    print_set: Callable[[NftSet], str]

    @property
    def needs_conntrack(self) -> bool:
        return uses_conntrack(self.key)

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        element = look_up(self.key, self.members, packet, at)
        return element.data if element is not None and isinstance(element.data, Verdict) else MISS

    def text(self) -> str:
        return f"{self.key.text()} vmap {self.members.text(self.print_set)}"


def look_up(key: Expression, members: SetReference, packet: Packet, at: "Evaluation") -> Element | None:
    """The element of a set or map that a packet's key finds."""
    values, found = key.load(packet, at), members.find()
    if found is not None and found.is_dynamic:
        packet.recording = None
    return None if values is None or found is None else found.find(values, at.namespace.kernel.now)


@dataclass(slots=True)
class Mapped(Expression):
    """`key map @name`: the data beside the packet's key."""

    key: Expression
    members: SetReference
    datatypes: tuple[Datatype, ...]
    print_set: Callable[[NftSet], str]

    @property
    def fields(self) -> tuple[Datatype, ...]:
        return self.datatypes

    def load(self, packet: Packet, at: "Evaluation") -> tuple[Scalar, ...] | None:
        element = look_up(self.key, self.members, packet, at)
        return element.data if element is not None and isinstance(element.data, tuple) else None

    def text(self) -> str:
        return f"{self.key.text()} map {self.members.text(self.print_set)}"


@dataclass(slots=True)
class Terminal(Statement):
    """A verdict as a statement."""

    verdict: Verdict

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        return MISS if self.verdict.kind == "continue" else self.verdict

    def text(self) -> str:
        return self.verdict.text()


@dataclass(slots=True)
class Count(Statement):
    """`counter`."""

    counter: Counter = field(default_factory=Counter)

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        packet.count(self.counter, packet.length)
        return NEXT

    def text(self) -> str:
        return f"counter packets {self.counter.packets} bytes {self.counter.bytes}"


@dataclass(slots=True)
class SetMark(Statement):
    """`meta mark set` and `ct mark set`."""

    target: str
    value: Expression

    @property
    def needs_conntrack(self) -> bool:
        return self.target == "ct mark" or uses_conntrack(self.value)

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        loaded = self.value.load(packet, at)
        if loaded is None or not isinstance(loaded[0], int):
            return MISS
        if self.target == "meta mark":
            packet.mark = loaded[0]
        elif packet.connection is not None and packet.connection.mark != loaded[0]:
            packet.connection.mark = loaded[0]
            packet.connection.invalidate_flows()
        return NEXT

    def text(self) -> str:
        return f"{self.target} set {self.value.text()}"


@dataclass(slots=True)
class Translate(Statement):
    """`dnat`, `snat`, `masquerade` and `redirect`."""

    kind: str
    address: Expression | None = None
    high: int | None = None
    ports: tuple[int, int] | None = None
    flags: tuple[str, ...] = ()
    family: str = ""

    SOURCE: ClassVar = ("snat", "masquerade")

    @property
    def needs_conntrack(self) -> bool:
        return True

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        chosen = self._choose(packet, at)
        if chosen is None:
            return MISS if self.kind in ("dnat", "snat") else DROP
        low, high, ports = chosen
        shuffled = "random" in self.flags or "fully-random" in self.flags
        low_port, high_port = ports or (None, None)
        wanted = NatRange(low, high, low_port, high_port, shuffled, "persistent" in self.flags)
        done = nat.set_up(at.namespace, packet, wanted, source=self.kind in self.SOURCE)
        return ACCEPT if done else DROP

    def _choose(self, packet: Packet, at: "Evaluation") -> tuple[int | None, int | None, tuple[int, int] | None] | None:
        if self.kind == "masquerade":
            own = at.namespace.masquerade_address(packet)
            return None if own is None else (own, own, self.ports)
        if self.kind == "redirect":
            own = _own_address(packet, at)
            return None if own is None else (own, own, self.ports)
        if self.address is None:
            return None, None, self.ports
        values = self.address.load(packet, at)
        if values is None or not isinstance(values[0], int):
            return None
        port = values[1] if len(values) > 1 else None
        ports = (port, port) if isinstance(port, int) else self.ports
        return values[0], self.high or values[0], ports

    def text(self) -> str:
        words = [self.kind]
        if self.address is not None:
            words += [self.family] if self.family else []
            words += ["to", self._address_text()]
        elif self.ports is not None:
            words += ["to", f":{_ports_text(self.ports)}"]
        return " ".join([*words, ",".join(self.flags)]).rstrip()

    def _address_text(self) -> str:
        assert self.address is not None
        text = self.address.text()
        if self.high is not None:
            text += f"-{self.address.fields[0].format(self.high)}"
        if self.ports is None:
            return text
        return f"[{text}]:{_ports_text(self.ports)}" if ":" in text else f"{text}:{_ports_text(self.ports)}"


def _ports_text(ports: tuple[int, int]) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def _own_address(packet: Packet, at: "Evaluation") -> int | None:
    is_ipv6 = packet.ethertype == TYPE_IPV6
    if at.hook == "OUTPUT":
        return LOOPBACK6 if is_ipv6 else LOOPBACK
    device = packet.in_device
    addresses = [] if device is None else device.addresses6 if is_ipv6 else device.addresses
    return addresses[0].address if addresses else None


_ICMPX: Final = {
    "port-unreachable": ("icmp-port-unreachable", "icmp6-port-unreachable"),
    "no-route": ("icmp-net-unreachable", "icmp6-no-route"),
    "host-unreachable": ("icmp-host-unreachable", "icmp6-addr-unreachable"),
    "admin-prohibited": ("icmp-admin-prohibited", "icmp6-adm-prohibited"),
}
ICMP_CODES: Final = {
    "net-unreachable": "icmp-net-unreachable",
    "host-unreachable": "icmp-host-unreachable",
    "prot-unreachable": "icmp-proto-unreachable",
    "port-unreachable": "icmp-port-unreachable",
    "net-prohibited": "icmp-net-prohibited",
    "host-prohibited": "icmp-host-prohibited",
    "admin-prohibited": "icmp-admin-prohibited",
}
ICMPV6_CODES: Final = {
    "no-route": "icmp6-no-route",
    "admin-prohibited": "icmp6-adm-prohibited",
    "addr-unreachable": "icmp6-addr-unreachable",
    "port-unreachable": "icmp6-port-unreachable",
    "policy-fail": "icmp6-policy-fail",
    "reject-route": "icmp6-reject-route",
}


@dataclass(slots=True)
class Refuse(Statement):
    """`reject`: `kind` is tcp, icmp, icmpv6 or icmpx, `code` its code's name."""

    kind: str
    code: str
    is_default: bool
    implies_protocol: bool = False
    """Whether nft leaves out the protocol match before it."""

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        is_ipv6 = packet.ethertype == TYPE_IPV6
        target = Reject6() if is_ipv6 else Reject()
        if self.kind == "tcp":
            target.answer = "tcp-reset"
        elif self.kind == "icmpx":
            target.answer = _ICMPX[self.code][is_ipv6]
        else:
            target.answer = (ICMP_CODES if self.kind == "icmp" else ICMPV6_CODES)[self.code]
        target.apply(packet, at)
        return DROP

    def text(self) -> str:
        if self.is_default:
            return "reject"
        return "reject with tcp reset" if self.kind == "tcp" else f"reject with {self.kind} {self.code}"


SECOND: Final = 1_000_000_000
UNITS: Final = {"second": SECOND, "minute": 60 * SECOND, "hour": 3600 * SECOND, "day": 86400 * SECOND}


@dataclass(slots=True)
class Limit(Statement):
    """`limit rate [over] N/unit [burst M packets]`: a bucket of tokens (nft_limit.c)."""

    rate: int
    unit: str
    burst: int = 5
    is_over: bool = False
    _tokens: int = -1
    _last: int = 0

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        packet.recording = None
        now, cost = at.namespace.kernel.now, UNITS[self.unit] // self.rate
        most = cost * self.burst
        self._tokens = most if self._tokens < 0 else min(self._tokens + now - self._last, most)
        self._last = now
        within = self._tokens >= cost
        if within:
            self._tokens -= cost
        return NEXT if within != self.is_over else MISS

    def text(self) -> str:
        over = "over " if self.is_over else ""
        return f"limit rate {over}{self.rate}/{self.unit}" + (f" burst {self.burst} packets" if self.burst != 5 else "")


@dataclass(slots=True)
class Log(Statement):
    """`log`: a line in the kernel's log."""

    prefix: str = ""
    level: str = ""

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        packet.recording = None
        at.namespace.kernel.log.append(f"{self.prefix}IN={at.in_name} OUT={at.out_name} {packet.summary()}")
        return NEXT

    def text(self) -> str:
        words = ["log", f'prefix "{self.prefix}"' if self.prefix else "", f"level {self.level}" if self.level else ""]
        return " ".join(word for word in words if word)


@dataclass(slots=True)
class NoTrack(Statement):
    """`notrack`."""

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        if not packet.connection_state:
            packet.connection_state = "UNTRACKED"
        return NEXT

    def text(self) -> str:
        return "notrack"


@dataclass(slots=True)
class Touch(Statement):
    """`add @set { key }` and `update @set { key timeout … : data }`: packets write to a set."""

    kind: str
    members: SetReference
    key: Expression
    timeout: int = 0
    data: Expression | None = None
    timeout_text: str = ""

    @property
    def needs_conntrack(self) -> bool:
        return uses_conntrack(self.key)

    def run(self, packet: Packet, at: "Evaluation") -> Verdict:
        packet.recording = None
        values, found = self.key.load(packet, at), self.members.find()
        data = None if self.data is None else self.data.load(packet, at)
        if values is None or found is None or (self.data is not None and data is None):
            return MISS
        now = at.namespace.kernel.now
        if self.kind == "delete":
            return NEXT if found.remove(tuple((part, part) for part in values)) else MISS
        done = found.touch(values, now, refresh=self.kind == "update", timeout=self.timeout, data=data)
        return NEXT if done else MISS

    def text(self) -> str:
        timeout = f" timeout {self.timeout_text}" if self.timeout_text else ""
        data = f" : {self.data.text()}" if self.data is not None else ""
        return f"{self.kind} @{self.members.name} {{ {self.key.text()}{timeout}{data} }}"
