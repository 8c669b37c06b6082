"""EDNS options that `rewrite edns0` sets in queries (plugin/rewrite/edns0.go)."""

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, cast

import dns.edns
import dns.message

from podwire.services.coredns.core.corefile import Directive
from podwire.services.coredns.core.query import Query

Action = Literal["set", "append", "replace"]
Data = Callable[[Query], bytes]
Change = Callable[[Query], Query | None]
"""The query with the option; None if the rule does not fit."""

_SIZE: Final = 4096
"""Of the OPT record that is added to a query without one."""
_VARIABLES: Final[dict[str, Data]] = {
    "{qname}": lambda query: query.question.name.to_text().encode(),
    "{qtype}": lambda query: int(query.kind).to_bytes(2),
    "{client_ip}": lambda query: ipaddress.ip_address(query.client[0]).packed,
    "{client_port}": lambda query: query.client[1].to_bytes(2),
    "{protocol}": lambda query: b"udp" if query.over_udp else b"tcp",
}


def change(directive: Directive, arguments: list[str]) -> Change:
    """What `edns0 KIND ACTION …` does. Raises CorefileError."""
    kind, action, *rest = [*arguments[:2], *([""] * (2 - len(arguments))), *arguments[2:]]
    if action.lower() not in ("set", "append", "replace"):
        raise directive.error(f"invalid action: {action!r}: set, append or replace")
    readers = {"local": _local, "nsid": _nsid, "subnet": _subnet}
    if kind.lower() not in readers:
        raise directive.error(f"invalid rule type {kind!r}: local, nsid or subnet")
    code, option = readers[kind.lower()](directive, rest)
    return lambda query: _changed(query, code, option(query), cast(Action, action.lower()))


Made = tuple[int, Callable[[Query], dns.edns.Option]]
"""An option's code, and the option for a query."""


def _local(directive: Directive, arguments: list[str]) -> Made:
    if len(arguments) != 2:
        raise directive.error(f"edns0 local {' '.join(arguments)!r}: CODE and DATA are needed")
    code = _number(directive, arguments[0], 65535)
    data = _data(directive, arguments[1])
    return code, lambda query: dns.edns.GenericOption(dns.edns.OptionType.make(code), data(query))


def _data(directive: Directive, text: str) -> Data:
    """A variable, hexadecimal digits behind 0x, or the text itself."""
    if text in _VARIABLES:
        return _VARIABLES[text]
    if text.startswith("{") and text.endswith("}"):
        raise directive.error(f"unsupported variable name {text!r}: {', '.join(_VARIABLES)}")
    if not text.startswith("0x"):
        return lambda query: text.encode()
    try:
        octets = bytes.fromhex(text[2:])
    except ValueError:
        raise directive.error(f"edns0 local data {text!r} is not hexadecimal") from None
    return lambda query: octets


def _nsid(directive: Directive, arguments: list[str]) -> Made:
    if arguments:
        raise directive.error(f"EDNS0 NSID rules do not accept args: {' '.join(arguments)!r}")
    return dns.edns.OptionType.NSID, lambda query: dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")


def _subnet(directive: Directive, arguments: list[str]) -> Made:
    if len(arguments) != 2:
        raise directive.error(f"edns0 subnet {' '.join(arguments)!r}: lengths for IPv4 and IPv6 are needed")
    lengths = {4: _number(directive, arguments[0], 32), 6: _number(directive, arguments[1], 128)}

    def option(query: Query) -> dns.edns.Option:
        address = ipaddress.ip_address(query.client[0])
        length = lengths[address.version]
        network = ipaddress.ip_network((address, length), strict=False)
        return dns.edns.ECSOption(str(network.network_address), length)

    return dns.edns.OptionType.ECS, option


def _number(directive: Directive, text: str, most: int) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise directive.error(f"edns0: {text!r} is no number from 0 to {most}")
    return number


def _changed(query: Query, code: int, option: dns.edns.Option, action: Action) -> Query | None:
    """`set` puts the option in place of one of its code or behind the others, `replace` only the one, `append` only the
    other."""
    held = list(query.message.options)
    at = next((number for number, each in enumerate(held) if int(each.otype) == code), -1)
    if (at < 0 and action == "replace") or (at >= 0 and action == "append"):
        return None
    options = [*held[:at], option, *held[at + 1 :]] if at >= 0 else [*held, option]
    message: dns.message.Message = query.asking(query.name).message
    payload = query.message.payload if query.message.edns >= 0 else _SIZE
    message.use_edns(0, query.message.ednsflags, payload, options=options)
    return replace(query, message=message)
