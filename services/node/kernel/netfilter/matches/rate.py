"""Matches whose answer differs from packet to packet: statistic, limit, recent. None of them is ever cached."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from podwire.proto.packet.addresses import IPV6, format_address, mask_for, parse_address
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.matches.base import Match, bang, not_inverted
from podwire.services.node.kernel.netfilter.words import parse_number
from podwire.services.node.kernel.packet import Packet

if TYPE_CHECKING:
    from podwire.services.node.kernel.netfilter.evaluation import Evaluation

SECOND: Final = 1_000_000_000
_ONE: Final = 0x80000000
_PERIODS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_SHORT: Final = {"second": "sec", "minute": "min", "hour": "hour", "day": "day"}
RECENT_LIMIT: Final = 100


class Statistic(Match):
    """`-m statistic`: a chance, or every nth packet. The chance is a 31-bit fixed-point number, as in Linux."""

    name = "statistic"
    options: ClassVar = {"mode": 1, "probability": 1, "every": 1, "packet": 1}

    def __init__(self) -> None:
        self.mode = ""
        self.probability: int | None = None
        self.every = 0
        self.packet = 0
        self.inverted = False
        self._count = 0

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        value = values[0]
        if option == "mode":
            if value not in ("random", "nth"):
                raise NetfilterError(f"statistic: Bad mode `{value}'")
            self.mode = value
        elif option == "probability":
            self.probability, self.inverted = _parse_probability(value), inverted
        elif option == "every":
            self.every, self.inverted = parse_number(value, 1, 0xFFFFFFFF, "--every"), inverted
        else:
            self.packet = parse_number(value, 0, 0xFFFFFFFF, "--packet")

    def finish(self) -> None:
        if self.mode == "random" and self.probability is None:
            raise NetfilterError("statistic: --probability must be specified when using random mode")
        if self.mode == "nth" and (not self.every or self.packet >= self.every):
            raise NetfilterError("statistic: the --packet p must be 0 <= p <= n-1")
        if not self.mode:
            raise NetfilterError("statistic: --mode must be specified")
        self._count = (self.every - self.packet - 1) if self.every else 0

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        packet.recording = None
        if self.probability is not None and self.mode == "random":
            drawn = at.namespace.kernel.random.getrandbits(31)
            return (drawn < self.probability) != self.inverted
        self._count += 1
        hit = self._count == self.every
        if hit:
            self._count = 0
        return hit != self.inverted

    def _value(self) -> str:
        assert self.probability is not None
        whole = (self.probability * 10**11 * 2 + _ONE) // (_ONE * 2)
        return f"{whole // 10**11}.{whole % 10**11:011d}"

    def save(self) -> str:
        if self.mode == "random":
            return f"--mode random {bang(self.inverted)}--probability {self._value()}"
        return f"--mode nth {bang(self.inverted)}--every {self.every} --packet {self.packet}"

    def describe(self) -> str:
        if self.mode == "random":
            return f"statistic mode random {bang(self.inverted)}probability {self._value()}"
        packet = f" packet {self.packet}" if self.packet else ""
        return f"statistic mode nth {bang(self.inverted)}every {self.every}{packet}"


def _parse_probability(text: str) -> int:
    whole, _, fraction = text.partition(".")
    if not (whole + fraction).isdigit() or not text.isascii() or len(text) > 40:
        raise NetfilterError(f"statistic: bad probability `{text}'")
    scale = int(10 ** len(fraction))
    number = int((whole or "0") + fraction)
    if number > scale:
        raise NetfilterError("statistic: --probability must be between 0 and 1")
    return int((number * _ONE * 2 + scale) // (scale * 2))


class Limit(Match):
    """`-m limit`: a token bucket."""

    name = "limit"
    options: ClassVar = {"limit": 1, "limit-burst": 1}

    def __init__(self) -> None:
        self.rate = (3, "hour")
        self.burst = 5
        self._credit: int | None = None
        self._updated = 0

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        not_inverted(option, inverted)
        if option == "limit-burst":
            self.burst = parse_number(values[0], 1, 10000, "--limit-burst")
            return
        amount, _, unit = values[0].partition("/")
        unit = unit or "second"
        period = next((name for name in _PERIODS if name.startswith(unit) or unit == _SHORT[name]), "")
        if not period:
            raise NetfilterError(f"limit: bad rate `{values[0]}'")
        self.rate = (parse_number(amount, 1, 10000, "rate"), period)

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        packet.recording = None
        now, cost = at.namespace.kernel.now, _PERIODS[self.rate[1]] * SECOND // self.rate[0]
        if self._credit is None:
            self._credit = cost * self.burst
        else:
            self._credit = min(self._credit + now - self._updated, cost * self.burst)
        self._updated = now
        if self._credit < cost:
            return False
        self._credit -= cost
        return True

    def _rate(self) -> str:
        return f"{self.rate[0]}/{_SHORT[self.rate[1]]}"

    def save(self) -> str:
        return f"--limit {self._rate()}" + ("" if self.burst == 5 else f" --limit-burst {self.burst}")

    def describe(self) -> str:
        return f"limit: avg {self._rate()} burst {self.burst}"


class Recent(Match):
    """`-m recent`: lists of addresses seen lately, which kube-proxy keeps ClientIP affinity in."""

    name = "recent"
    options: ClassVar = {
        "set": 0,
        "rcheck": 0,
        "update": 0,
        "remove": 0,
        "seconds": 1,
        "reap": 0,
        "hitcount": 1,
        "name": 1,
        "mask": 1,
        "rsource": 0,
        "rdest": 0,
    }

    def __init__(self) -> None:
        self.action = ""
        self.inverted = False
        self.seconds = 0
        self.hitcount = 0
        self.reap = False
        self.list = "DEFAULT"
        self.mask = 0xFFFFFFFF
        self.side = "rsource"

    def accept(self, option: str, values: Sequence[str], inverted: bool) -> None:
        if option in ("set", "rcheck", "update", "remove"):
            self.action, self.inverted = option, inverted
            return
        not_inverted(option, inverted)
        if option in ("seconds", "hitcount"):
            setattr(self, option, parse_number(values[0], 1, 0xFFFFFFFF, f"--{option}"))
        elif option == "name":
            self.list = values[0]
        elif option == "mask":
            self.mask = self._parse_mask(values[0])
        elif option == "reap":
            self.reap = True
        else:
            self.side = option

    def _parse_mask(self, text: str) -> int:
        try:
            return parse_address(text)
        except PacketError as error:
            raise NetfilterError(error.reason) from None

    def finish(self) -> None:
        if not self.action:
            raise NetfilterError("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")

    def test(self, packet: Packet, at: "Evaluation") -> bool:
        packet.recording = None
        seen = at.namespace.netfilter.recent.setdefault(self.list, {})
        address = (packet.source if self.side == "rsource" else packet.destination) & self.mask
        return self._act(seen, address, at.namespace.kernel.now) != self.inverted

    def _act(self, seen: dict[int, list[int]], address: int, now: int) -> bool:
        if self.action == "set":
            self._stamp(seen, address, now)
            return True
        if address not in seen:
            return False
        if self.action == "remove":
            del seen[address]
            return True
        oldest = now - self.seconds * SECOND if self.seconds else 0
        hits = [stamp for stamp in seen[address] if stamp >= oldest]
        found = bool(hits) and len(hits) >= self.hitcount
        if self.reap and not hits:
            del seen[address]
        elif found and self.action == "update":
            self._stamp(seen, address, now)
        return found

    def _stamp(self, seen: dict[int, list[int]], address: int, now: int) -> None:
        if address not in seen and len(seen) >= RECENT_LIMIT:
            del seen[min(seen, key=lambda each: seen[each][-1])]
        seen[address] = [*seen.get(address, [])[-19:], now]

    def save(self) -> str:
        parts = [f"{bang(self.inverted)}--{self.action}"]
        parts += [f"--seconds {self.seconds}"] if self.seconds else []
        parts += ["--reap"] if self.reap else []
        parts += [f"--hitcount {self.hitcount}"] if self.hitcount else []
        return " ".join([*parts, f"--name {self.list}", f"--mask {format_address(self.mask)}", f"--{self.side}"])

    def describe(self) -> str:
        action = {"set": "SET", "rcheck": "CHECK", "update": "UPDATE", "remove": "REMOVE"}[self.action]
        parts = [f"{bang(self.inverted)}recent: {action}"]
        parts += [f"seconds: {self.seconds}"] if self.seconds else []
        parts += ["reap"] if self.reap else []
        parts += [f"hit_count: {self.hitcount}"] if self.hitcount else []
        side = "source" if self.side == "rsource" else "dest"
        return " ".join([*parts, f"name: {self.list}", f"side: {side}", f"mask: {format_address(self.mask)}"])


class Recent6(Recent):
    """`-m recent` of ip6tables."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = mask_for(IPV6, 128)
