"""Who should reach whom: rules from a YAML file, and where the truth differs from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from podwire.scripts.errors import UserError
from podwire.scripts.reach.matrix import MEANINGS, PROTOCOLS, Probe, Protocol, Result
from podwire.scripts.yaml_files import parse_document, read_text

_WANTED: Final = "a YAML list of rules"
_FIELDS: Final = ("from", "to", "port", "protocol", "allowed")


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether the probes that it names should reach; None for any port, any protocol."""

    allowed: bool
    origin: str = "*"
    target: str = "*"
    port: int | None = None
    protocol: Protocol | None = None

    def names(self, probe: Probe) -> bool:
        """Whether the rule is about a probe."""
        target = probe.target
        return (
            self.port in (None, target.port)
            and self.protocol in (None, target.protocol)
            and matches(self.origin, probe.origin.name)
            and matches(self.target, target.name)
        )

    def __str__(self) -> str:
        protocol, port = self.protocol or "*", self.port or "*"
        return f"from {self.origin} to {self.target} {protocol}/{port}: allowed {str(self.allowed).lower()}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A probe's result beside the number (from 1) of the last rule that names it; 0 and None where none does."""

    result: Result
    number: int = 0
    rule: Rule | None = None

    @property
    def differs(self) -> bool:
        """Whether it is not as the rule wants it; what was not probed never is."""
        if self.rule is None:
            return False
        if self.result.verdict == "not probed":
            return True
        return self.rule.allowed != (self.result.verdict == "reached")

    def __str__(self) -> str:
        wanted = "allowed" if self.rule and self.rule.allowed else "denied"
        verdict = MEANINGS[self.result.verdict]
        return f"{self.result.probe}: {verdict} ({self.result.reason}), but rule {self.number} wants it {wanted}"


def matches(pattern: str, name: str) -> bool:
    """Whether a glob names somebody: `*` alone names all, otherwise no wildcard goes over a `/`."""
    if pattern == "*":
        return True
    patterns, parts = pattern.split("/"), name.split("/")
    return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


def compared(results: Sequence[Result], rules: Sequence[Rule]) -> list[Judgement]:
    """Every result beside the rule that counts for it: later rules win."""
    return [_judgement(result, rules) for result in results]


def _judgement(result: Result, rules: Sequence[Rule]) -> Judgement:
    for number in range(len(rules), 0, -1):
        if rules[number - 1].names(result.probe):
            return Judgement(result, number, rules[number - 1])
    return Judgement(result)


def idle(results: Sequence[Result], rules: Sequence[Rule]) -> list[str]:
    """A line for each rule that names no probe at all: what it wants was not shown."""
    return [
        f"rule {number} names none of the probes ({rule})"
        for number, rule in enumerate(rules, 1)
        if not any(rule.names(result.probe) for result in results)
    ]


# -- the file


def read_rules(name: str) -> list[Rule]:
    """The rules of a file. Raises UserError."""
    try:
        return parse_rules(read_text(name, _WANTED))
    except UserError as error:
        raise UserError(f"--expect {name}: {error}") from None


def parse_rules(text: str) -> list[Rule]:
    """The rules of a YAML text. Raises UserError that names rule, field and value."""
    document = parse_document(text, _WANTED)
    if not isinstance(document, list) or not document:
        raise UserError(f"{_shown(document)}: a YAML list of rules is needed, each with {', '.join(_FIELDS)}")
    return [_rule(entry, f"rule {number}") for number, entry in enumerate(document, 1)]


def _rule(entry: Any, place: str) -> Rule:
    if not isinstance(entry, dict):
        raise UserError(f"{place}: {_shown(entry)}: a mapping is needed, with {', '.join(_FIELDS)}")
    unknown = next((field for field in entry if field not in _FIELDS), None)
    if unknown is not None:
        raise UserError(f"{place}: {unknown}: no such field; the fields are {', '.join(_FIELDS)}")
    if not isinstance(entry.get("allowed"), bool):
        raise UserError(f"{place}: allowed: {_shown(entry.get('allowed'))}: true or false is needed")
    return Rule(
        entry["allowed"],
        _glob(entry, "from", place),
        _glob(entry, "to", place),
        _port(entry, place),
        _protocol(entry, place),
    )


def _glob(entry: dict[str, Any], field: str, place: str) -> str:
    value = entry.get(field, "*")
    if not isinstance(value, str) or not value:
        raise UserError(f"{place}: {field}: {_shown(value)}: a glob such as default/web-* is needed")
    return value


def _port(entry: dict[str, Any], place: str) -> int | None:
    value = entry.get("port")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise UserError(f"{place}: port: {_shown(value)}: a number from 1 to 65535 is needed")
    return value


def _protocol(entry: dict[str, Any], place: str) -> Protocol | None:
    value = entry.get("protocol")
    if value is None:
        return None
    found = next((known for known in PROTOCOLS if str(value).lower() == known), None)
    if found is None:
        raise UserError(f"{place}: protocol: {_shown(value)}: tcp, udp or sctp is needed")
    return found


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
