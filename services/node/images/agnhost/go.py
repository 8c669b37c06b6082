"""What Go programs share: log lines, JSON, durations, and the texts of package net's errors."""

import errno
import json
import re
from typing import Final

from podwire.proto.kube.families import host_port
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolver import Resolver
from podwire.services.node.network.sockets import Endpoint
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date

_UNITS: Final = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_LONGEST: Final = 10**18
"""Nanoseconds; about what Go's int64 holds."""


class BadDuration(ValueError):
    """Text that time.ParseDuration refuses."""


async def log(process: Process, text: str) -> None:
    """log.Printf: the time and the text on standard error."""
    await process.complain(f"{format_date('%Y/%m/%d %H:%M:%S', process.clock.now_ns())} {text}")


def to_json(document: object) -> bytes:
    """json.Marshal of a map: keys sorted, `<`, `>` and `&` escaped."""
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode(errors="replace")


def quoted(text: str) -> str:
    """fmt's %q, for the texts that come up here."""
    return json.dumps(text, ensure_ascii=False)


def parse_duration(text: str) -> int:
    """Nanoseconds of `1.5s`, `1m30s`, `0` (time.ParseDuration). Raises BadDuration."""
    pieces = re.findall(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})(ns|us|µs|ms|s|m|h)", text)
    if text == "0":
        return 0
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise BadDuration(f"time: invalid duration {quoted(text)}")
    return min(sum(int(float(number) * _UNITS[unit]) for number, unit in pieces), _LONGEST)


def join(endpoint: Endpoint) -> str:
    """host:port."""
    return host_port(*endpoint)


class BadAddress(ValueError):
    """Text that net.SplitHostPort refuses."""


def split_host_port(text: str) -> Endpoint:
    """`host:port` in two. Raises BadAddress."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise BadAddress(f"address {text}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadAddress(f"address {text}: too many colons in address")
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise BadAddress(f"address {port}: invalid port")
    return host, int(port)


async def resolve(process: Process, host: str) -> str:
    """The first address of a name; a missing host is this one. Raises ResolutionFailure."""
    return (await go_resolver(process).addresses(host or "127.0.0.1"))[0]


def go_resolver(process: Process) -> Resolver:
    """Go's own, which goes through search list and servers as glibc's does (net/dnsclient_unix.go)."""
    return Resolver(process.network, process.files, process.random)


def lookup_error(process: Process, failure: ResolutionFailure) -> str:
    """net.DNSError's text."""
    server = go_resolver(process).configuration().servers[0]
    reason = "i/o timeout" if failure.temporary else "no such host"
    return f"lookup {failure.name} on {server}:53: {reason}"


def error_text(error: OSError) -> str:
    """syscall.Errno's text, which is strerror(3)'s in lower case."""
    return (error.strerror or str(error)).lower()


def dial_error(network: str, endpoint: Endpoint, error: OSError) -> str:
    """net.OpError's text of a connection that failed."""
    if error.errno == errno.ETIMEDOUT:
        return f"dial {network} {join(endpoint)}: connect: connection timed out"
    return f"dial {network} {join(endpoint)}: connect: {error_text(error)}"
