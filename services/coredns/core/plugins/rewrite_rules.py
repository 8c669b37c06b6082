"""What `rewrite` directives say: each is one rule (plugin/rewrite/rewrite.go and its rules)."""

import re
from typing import Final

import dns.rcode
import dns.rdataclass
import dns.rdatatype
import re2

from podwire.services.coredns.core.corefile import Directive, absolute
from podwire.services.coredns.core.plugins import edns_options
from podwire.services.coredns.core.plugins.rewrite import Renaming, Rule

_LARGEST_RCODE: Final = 23


def configure(directive: Directive) -> Rule:
    """One directive's rule. Raises CorefileError."""
    words = list(directive.arguments)
    for row in directive.block:
        words += row
    mode = words.pop(0) if words[:1] in (["continue"], ["stop"]) else "stop"
    if not words:
        raise directive.wrong_arguments()
    field, *arguments = words
    readers = {
        "name": _name_rule,
        "type": _type_rule,
        "class": _class_rule,
        "edns0": _edns_rule,
        "ttl": _ttl_rule,
        "rcode": _rcode_rule,
        "cname": _target_rule,
    }
    if field not in readers:  # `rewrite FROM TO` is short for `rewrite name exact FROM TO`
        field, arguments = "name", words
    return readers[field](directive, mode == "continue", arguments)


def _name_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 2:
        arguments = ["exact", *arguments]
    kind, rest = (arguments or [""])[0], arguments[1:]
    if kind not in _MATCHERS or len(rest) < 2:
        raise directive.error(f"name {' '.join(arguments)!r}: exact, prefix, suffix, substring or regex, FROM and TO")
    renaming = _renaming(directive, kind, rest[0], rest[1])
    name, value = _answers(directive, kind, rest[0], rest[1], rest[2:])
    return Rule(goes_on=goes_on, name=renaming, answer_name=name, answer_value=value)


def _answers(
    directive: Directive, kind: str, old: str, new: str, options: list[str]
) -> tuple[Renaming | None, Renaming | None]:
    """How names and values are changed back: `answer auto`, `answer [name] FROM TO`, `answer value FROM TO`."""
    name: Renaming | None = None
    value: Renaming | None = None
    while options:
        match options:
            case ["answer", "auto", *rest] if kind in ("prefix", "suffix", "exact"):
                name = value = _renaming(directive, kind, new, old)
            case ["answer", "name", pattern, replacement, *rest]:
                name = _renaming(directive, "regex", pattern, replacement)
            case ["answer", "value", pattern, replacement, *rest]:
                value = _renaming(directive, "regex", pattern, replacement)
            case ["answer", pattern, replacement, *rest]:
                name = _renaming(directive, "regex", pattern, replacement)
            case _:
                raise directive.error(f"{' '.join(options)!r}: answer auto, answer [name|value] FROM TO")
        options = rest
    return name, value


def _type_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) != 2:
        raise directive.wrong_arguments()
    kinds = []
    for text in arguments:
        try:
            kinds.append(dns.rdatatype.from_text(text))
        except dns.rdatatype.UnknownRdatatype:
            raise directive.error(f"invalid type {text!r}") from None
    return Rule(goes_on=goes_on, kinds=(kinds[0], kinds[1]))


def _class_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) != 2:
        raise directive.wrong_arguments()
    classes = []
    for text in arguments:
        try:
            classes.append(dns.rdataclass.from_text(text))
        except dns.rdataclass.UnknownRdataclass:
            raise directive.error(f"invalid class {text!r}: IN, CH, HS or ANY") from None
    return Rule(goes_on=goes_on, classes=(classes[0], classes[1]))


def _edns_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    return Rule(goes_on=goes_on, edns=edns_options.change(directive, arguments))


def _rcode_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 3:
        arguments = ["exact", *arguments]
    if len(arguments) != 4 or arguments[0] not in _MATCHERS:
        raise directive.error(f"rcode {' '.join(arguments)!r}: [exact|prefix|suffix|substring|regex] NAME OLD NEW")
    fits = _renaming(directive, arguments[0], arguments[1], ".")
    return Rule(goes_on=goes_on, rcode=(fits, _rcode(directive, arguments[2]), _rcode(directive, arguments[3])))


def _rcode(directive: Directive, text: str) -> dns.rcode.Rcode:
    """By name or by number (isValidRCode)."""
    try:
        if not text.isdecimal() or int(text) <= _LARGEST_RCODE:
            return dns.rcode.from_text(text)
    except dns.rcode.UnknownRcode:
        pass
    raise directive.error(f"invalid RCODE {text!r} for a rcode rule")


def _target_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 2:
        arguments = ["exact", *arguments]
    if len(arguments) != 3 or arguments[0] not in _MATCHERS:
        raise directive.error(f"cname {' '.join(arguments)!r}: [exact|prefix|suffix|substring|regex] FROM TO")
    return Rule(goes_on=goes_on, target=_renaming(directive, *arguments))


def _ttl_rule(directive: Directive, goes_on: bool, arguments: list[str]) -> Rule:
    if len(arguments) == 2:
        arguments = ["exact", *arguments]
    if len(arguments) != 3 or arguments[0] not in _MATCHERS:
        raise directive.wrong_arguments()
    low, separator, high = arguments[2].partition("-")
    if not all(text == "" or text.isdecimal() for text in (low, high)) or not (low or high):
        raise directive.error(f"invalid TTL {arguments[2]!r}")
    least = int(low or 0)
    most = int(high or 2**31 - 1) if separator else least
    return Rule(goes_on=goes_on, ttl=(_renaming(directive, arguments[0], arguments[1], "."), least, most))


def _exact(old: str, new: str) -> Renaming:
    return lambda name: absolute(new) if name == absolute(old) else None


def _prefix(old: str, new: str) -> Renaming:
    return lambda name: new.lower() + name[len(old) :] if name.startswith(old.lower()) else None


def _suffix(old: str, new: str) -> Renaming:
    ending = absolute(old)
    return lambda name: name[: -len(ending)] + absolute(new) if name.endswith(ending) else None


def _substring(old: str, new: str) -> Renaming:
    return lambda name: name.replace(old.lower(), new.lower()) if old.lower() in name else None


def _regex(old: str, new: str) -> Renaming:
    pattern = re2.compile(old)

    def rename(name: str) -> str | None:
        found = pattern.search(name)
        if found is None:
            return None
        filled = re.sub(r"\{(\d+)\}", lambda each: _group(found, int(each[1])), new)
        return absolute(filled)

    return rename


def _group(found: "re2._Match[str]", number: int) -> str:
    groups = (found.group(0), *found.groups())
    return groups[number] or "" if number < len(groups) else ""


_MATCHERS: Final = {
    "exact": _exact,
    "prefix": _prefix,
    "suffix": _suffix,
    "substring": _substring,
    "regex": _regex,
}


def _renaming(directive: Directive, kind: str, old: str, new: str) -> Renaming:
    try:
        return _MATCHERS[kind](old, new)
    except re2.error as error:
        raise directive.error(f"invalid regex pattern in a name rule: {old}: {error}") from None
