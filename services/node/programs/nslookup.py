"""nslookup: busybox's since 1.29 (its own queries, no ndots), busybox's before (getaddrinfo), and BIND's."""

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from podwire.proto.kube.families import host_port
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolv_conf import Configuration, candidates, is_address, read_configuration
from podwire.services.node.network.resolver import Resolver
from podwire.services.node.network.sockets import UdpChannel
from podwire.services.node.pipes import BrokenPipe
from podwire.services.node.process import Process

_TYPES: Final = ("SOA", "NS", "A", "AAAA", "CNAME", "MX", "TXT", "SRV", "PTR", "ANY")
_USAGE: Final = "BusyBox v1.36.1 multi-call binary.\n\nUsage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]"
_TIMED_OUT: Final = ";; connection timed out; no servers could be reached"
_RETRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Call:
    """A command line: the record types asked for (none: by the name), the name, the server ("" for the usual)."""

    types: tuple[str, ...]
    name: str
    server: str
    port: int = 53
    timeout: int = 5


class BadCall(ValueError):
    """A command line that is refused; the text is empty for a mere usage."""


def read_call(words: list[str]) -> Call:
    """Reads a command line. Raises BadCall."""
    types: list[str] = []
    numbers = {"port": 53, "timeout": 5}
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, _, value = rest.pop(0)[1:].partition("=")
        if name in ("type", "querytype", "q"):
            if value.upper() not in _TYPES:
                raise BadCall(f'nslookup: invalid query type "{value}"')
            types.append(value.upper())
        elif name in numbers and value.isascii() and value.isdigit() and 0 < int(value[:6]) < 65536:
            numbers[name] = int(value)
        elif name != "debug":
            raise BadCall("")
    if not 1 <= len(rest) <= 2:
        raise BadCall("")
    server = rest[1] if len(rest) > 1 else ""
    return Call(tuple(types), rest[0], server, numbers["port"], numbers["timeout"])


def record_lines(answer: dns.message.Message) -> list[str]:
    """The answer section, one record a line or two."""
    lines = []
    for rrset in answer.answer:
        name = rrset.name.to_text(omit_final_dot=True)
        lines += [line for record in rrset if (line := _record(name, rrset.rdtype, record.to_text()))]
    return lines


def _record(name: str, kind: int, text: str) -> str:
    words = text.split()
    bare = text.rstrip(".")
    match kind:
        case dns.rdatatype.A | dns.rdatatype.AAAA:
            return f"Name:\t{name}\nAddress: {text}"
        case dns.rdatatype.NS:
            return f"{name}\tnameserver = {bare}"
        case dns.rdatatype.CNAME:
            return f"{name}\tcanonical name = {bare}"
        case dns.rdatatype.PTR:
            return f"{name}\tname = {bare}"
        case dns.rdatatype.MX:
            return f"{name}\tmail exchanger = {bare}"
        case dns.rdatatype.TXT:
            return f"{name}\ttext = {text}"
        case dns.rdatatype.SRV:
            return f"{name}\tservice = {bare}"
        case dns.rdatatype.SOA:
            fields = zip(("serial", "refresh", "retry", "expire", "minimum"), words[2:], strict=False)
            origin = f"{name}\n\torigin = {words[0].rstrip('.')}\n\tmail addr = {words[1].rstrip('.')}"
            return "\n".join([origin, *(f"\t{label} = {value}" for label, value in fields)])
    return ""


def reverse_name(address: str) -> str:
    """The name that PTR records of an address have."""
    return ipaddress.ip_address(address).reverse_pointer


# -- busybox 1.29 and later


@dataclass(slots=True)
class _Query:
    name: str
    message: dns.message.Message
    answered: bool = False


def _queries(process: Process, call: Call, configuration: Configuration) -> list[_Query]:
    """All that is asked at once; a name with a dot never goes through the search list. Raises DNSException."""
    if not call.types and is_address(call.name):
        wanted = [(reverse_name(call.name), "PTR")]
    else:
        plain = "." in call.name or not configuration.search
        names = [call.name] if plain else [f"{call.name}.{domain}" for domain in configuration.search]
        wanted = [(name, kind) for kind in call.types or ("A", "AAAA") for name in names]
    return [_Query(name, _question(process, name, kind)) for name, kind in wanted]


def _question(process: Process, name: str, kind: str) -> dns.message.Message:
    return dns.message.make_query(dns.name.from_text(name), kind, id=process.random.getrandbits(16))


async def busybox_nslookup(process: Process) -> int:
    """nslookup [-type=TYPE] HOST [SERVER] (busybox 1.36, networking/nslookup.c)."""
    configuration = read_configuration((process.files.read("/etc/resolv.conf") or b"").decode(errors="replace"))
    try:
        call = read_call(process.arguments[1:])
        queries = _queries(process, call, configuration)
        servers = await _servers(process, call, configuration)
    except BadCall as error:
        await process.complain(str(error) or _USAGE)
        return 1
    except dns.exception.DNSException:
        await process.complain(f"nslookup: bad address '{process.arguments[-1]}'")
        return 1
    for name, address in servers:
        code = await _Session(process, call, queries).run(name, address)
        if code is not None:
            return code
    await process.print(f"{_TIMED_OUT}\n\n")
    return 1


async def _servers(process: Process, call: Call, configuration: Configuration) -> list[tuple[str, str]]:
    if not call.server:
        return [(server, server) for server in configuration.servers]
    try:
        addresses = await process.resolver().addresses(call.server)
    except ResolutionFailure:
        raise BadCall(f"nslookup: bad address '{call.server}'") from None
    return [(call.server, addresses[0])]


class _Session:
    """All queries to one server; each answer is printed as it comes."""

    def __init__(self, process: Process, call: Call, queries: list[_Query]) -> None:
        self._process, self._call, self._queries = process, call, queries
        self._replies, self._code = 0, 0

    async def run(self, name: str, address: str) -> int | None:
        """The exit code, None if this server does not answer."""
        channel = self._process.network.open_udp()
        try:
            for _ in range(_RETRIES):
                try:
                    async with asyncio.timeout(self._call.timeout / _RETRIES):
                        await self._round(channel, name, address)
                        return self._code
                except TimeoutError:
                    continue
            return self._code if self._replies else None
        except BrokenPipe:
            raise
        except OSError as error:
            await self._process.complain(f"nslookup: write to '{name}': {error.strerror}")
            return None
        finally:
            channel.close()

    async def _round(self, channel: UdpChannel, name: str, address: str) -> None:
        for query in self._queries:
            if not query.answered:
                channel.send(query.message.to_wire(), (address, self._call.port))
        while not all(query.answered for query in self._queries):
            answer = _parsed((await channel.receive()).payload)
            asked = [each for each in self._queries if answer and each.message.id == answer.id and not each.answered]
            if answer is None or not asked:
                continue
            if not self._replies:
                await self._process.print(f"Server:\t\t{name}\nAddress:\t{host_port(address, self._call.port)}\n\n")
            self._replies += 1
            asked[0].answered = True
            await self._show(asked[0], answer)

    async def _show(self, query: _Query, answer: dns.message.Message) -> None:
        if answer.rcode() != dns.rcode.NOERROR:
            self._code = 1
            text = f"** server can't find {query.name}: {dns.rcode.to_text(answer.rcode())}\n"
        else:
            text = "" if answer.flags & dns.flags.AA else "Non-authoritative answer:\n"
            text += "".join(f"{line}\n" for line in record_lines(answer))
        await self._process.print(text + "\n")


def _parsed(payload: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(payload, ignore_trailing=True)
    except dns.exception.DNSException:
        return None


# -- busybox 1.28 and earlier


async def old_busybox_nslookup(process: Process) -> int:
    """nslookup HOST [SERVER] as busybox 1.28 and earlier had it: by the C library."""
    try:
        call = read_call(process.arguments[1:])
    except BadCall:
        await process.complain(_USAGE.replace("1.36.1", "1.28.4").replace("[-type=QUERY_TYPE] [-debug] ", ""))
        return 1
    resolver = process.resolver()
    server = call.server or resolver.configuration().servers[0]
    await process.print(f"Server:    {server}\nAddress 1: {server}{await _named(resolver, server)}\n\n")
    try:
        addresses = await resolver.addresses(call.name)
    except ResolutionFailure as failure:
        await process.complain(f"nslookup: can't resolve '{call.name}'" + (": Try again" if failure.temporary else ""))
        return 1
    lines = [f"Address {at}: {each}{await _named(resolver, each)}\n" for at, each in enumerate(addresses, 1)]
    await process.print(f"Name:      {call.name}\n" + "".join(lines))
    return 0


async def _named(resolver: Resolver, address: str) -> str:
    try:
        return " " + (await resolver.names(address))[0]
    except ResolutionFailure:
        return ""


# -- BIND


async def bind_nslookup(process: Process) -> int:
    """nslookup [-type=TYPE] HOST [SERVER] (BIND 9.18: search list and ndots, `#53`)."""
    try:
        call = read_call(process.arguments[1:])
    except BadCall as error:
        await process.complain(str(error) or "Usage: nslookup [-opt ...] host [server]")
        return 1
    resolver = process.resolver()
    configuration = resolver.configuration()
    is_reverse = is_address(call.name) and not call.types
    names = [reverse_name(call.name)] if is_reverse else candidates(call.name, configuration)
    kinds = ("PTR",) if is_reverse else call.types or ("A", "AAAA")
    for server in [call.server] if call.server else configuration.servers:
        answers = await _ask_bind(resolver, call, server, names, kinds)
        if answers is not None:
            return await _show_bind(process, call, server, answers)
    await process.print(f"{_TIMED_OUT}\n\n")
    return 1


async def _ask_bind(
    resolver: Resolver, call: Call, server: str, names: list[str], kinds: tuple[str, ...]
) -> list[dns.message.Message] | None:
    """The answers about the first name that exists (or the last), None if the server does not answer."""
    answers: list[dns.message.Message] = []
    for name in names:
        try:
            async with asyncio.timeout(call.timeout * 2):
                answers = [await resolver.query(name, kind, server, call.port) for kind in kinds]
        except (TimeoutError, OSError, dns.exception.DNSException):
            return None
        if answers[0].rcode() == dns.rcode.NOERROR:
            break
    return answers


async def _show_bind(process: Process, call: Call, server: str, answers: list[dns.message.Message]) -> int:
    text = f"Server:\t\t{server}\nAddress:\t{server}#{call.port}\n\n"
    if answers[0].rcode() != dns.rcode.NOERROR:
        await process.print(f"{text}** server can't find {call.name}: {dns.rcode.to_text(answers[0].rcode())}\n\n")
        return 1
    text += "" if answers[0].flags & dns.flags.AA else "Non-authoritative answer:\n"
    lines = [line for answer in answers for line in record_lines(answer)]
    text += "".join(f"{line}\n" for line in lines) or f"*** Can't find {call.name}: No answer\n"
    await process.print(text + "\n")
    return 0
