"""dig and host (BIND 9.18): what they print, their messages and exit codes (bin/dig/dig.c, host.c)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from podwire.services.chassis.clock import MILLISECOND
from podwire.services.chassis.dns_wire import in_order
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolv_conf import candidates, is_address
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.programs.dig_arguments import BadQuery, DigCall, Query, read_dig, read_host
from podwire.services.node.programs.dig_text import VERSION, answer_line, message_text
from podwire.services.node.programs.nslookup import reverse_name

_NO_REPLY: Final = 9
"""dig's exit code if no server answered."""
_EDNS_SIZE: Final = 1232


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, by whom and how it came."""

    message: dns.message.Message
    server: str
    milliseconds: int
    by_tcp: bool


class NoReply(Exception):
    """No server answered; each try's complaint has been told."""


async def dig(process: Process) -> int:
    """dig [@SERVER] [-x ADDRESS] [-t TYPE] [-p PORT] [NAME] [TYPE] [+OPTION]…"""
    try:
        call = read_dig(process.arguments[1:])
        servers = await _servers(process, call.server)
    except BadQuery as error:
        await process.complain(str(error))
        return 1
    if call.version:
        await process.complain(f"DiG {VERSION}")
        return 0
    code = 0
    for number, query in enumerate(call.queries):
        code = max(code, await _dig_one(process, call, query, servers, first=number == 0))
    return code


async def _servers(process: Process, server: str) -> list[str]:
    resolver = process.resolver()
    if not server:
        return list(resolver.configuration().servers)
    try:
        return await resolver.addresses(server)
    except ResolutionFailure:
        raise BadQuery(f"dig: couldn't get address for '{server}': not found") from None


async def _dig_one(process: Process, call: DigCall, query: Query, servers: list[str], *, first: bool) -> int:
    options = query.options
    banner = f"\n; <<>> DiG {VERSION} <<>> {' '.join(process.arguments[1:])}\n"
    banner += (f"; ({len(servers)} server found)\n" if call.server else "") + ";; global options: +cmd\n"
    shown = banner if first and options["cmd"] and not options["short"] else ""

    async def tell(text: str) -> None:
        await process.print(f"{text}\n")

    try:
        reply = await _searched(process, query, servers, tell)
    except NoReply:
        await process.print(f"{shown};; no servers could be reached\n")
        return _NO_REPLY
    except dns.exception.DNSException:
        await process.complain(
            f"dig: '{query.name}' is not a legal IDNA2008 name (string contains a disallowed character)"
        )
        return 10
    await process.print(shown + _shown(process, query, reply))
    return 0


async def _searched(
    process: Process, query: Query, servers: list[str], tell: Callable[[str], Awaitable[None]]
) -> Reply:
    """The answer for the first name of the search list that exists; without +search, of the name itself."""
    names = [query.name]
    if query.options["search"]:
        configuration = process.resolver().configuration()
        names = candidates(query.name, configuration)
    reply = await ask(process, query, names[0], servers, tell)
    for name in names[1:]:
        if reply.message.rcode() != dns.rcode.NXDOMAIN:
            break
        reply = await ask(process, query, name, servers, tell)
    return reply


async def ask(
    process: Process, query: Query, name: str, servers: list[str], tell: Callable[[str], Awaitable[None]]
) -> Reply:
    """Asks every server, as often as allowed. Raises NoReply, and DNSException for a name that is none."""
    question = dns.message.make_query(
        dns.name.from_text(name),
        query.kind,
        id=process.random.getrandbits(16),
        use_edns=0 if query.options["edns"] else False,
        payload=_EDNS_SIZE,
    )
    if not query.options["recurse"]:
        question.flags &= ~0x100
    for _ in range(query.tries):
        for server in servers:
            reply = await _try(process, query, question, server, tell)
            if reply is not None:
                return reply
    raise NoReply


async def _try(
    process: Process,
    query: Query,
    question: dns.message.Message,
    server: str,
    tell: Callable[[str], Awaitable[None]],
) -> Reply | None:
    resolver = process.resolver()
    begun, by_tcp = process.clock.monotonic_ns(), query.options["tcp"]
    try:
        async with asyncio.timeout(query.timeout):
            if not by_tcp:
                message = await resolver.ask(question, server, query.port)
                by_tcp = bool(message.flags & 0x200) and not query.options["ignore"]
            if by_tcp:
                message = await resolver.ask_by_tcp(question, server, query.port)
    except TimeoutError:
        await tell(f";; communications error to {server}#{query.port}: timed out")
        return None
    except OSError as error:
        reason = (error.strerror or "failed").lower().replace("no route to host", "host unreachable")
        await tell(f";; communications error to {server}#{query.port}: {reason}")
        return None
    except dns.exception.DNSException:
        await tell(f";; Got bad packet: FORMERR\n;; communications error to {server}#{query.port}: bad packet")
        return None
    return Reply(message, server, (process.clock.monotonic_ns() - begun) // MILLISECOND, by_tcp)


def _shown(process: Process, query: Query, reply: Reply) -> str:
    options = query.options
    if options["short"]:
        return "".join(f"{record.to_text()}\n" for rrset in reply.message.answer for record in rrset)
    text = message_text(reply.message, options)
    if options["stats"]:
        when = format_date("%a %b %d %H:%M:%S UTC %Y", process.clock.now_ns())
        way = "TCP" if reply.by_tcp else "UDP"
        text += (
            f";; Query time: {reply.milliseconds} msec\n"
            f";; SERVER: {reply.server}#{query.port}({reply.server}) ({way})\n"
            f";; WHEN: {when}\n;; MSG SIZE  rcvd: {len(in_order(reply.message))}\n\n"
        )
    return text


# -- host


async def host(process: Process) -> int:
    """host [-t TYPE] [-a] [-v] [-W SEC] [-T] NAME [SERVER]"""
    try:
        query, server, kinds = read_host(process.arguments[1:])
        servers = await _servers(process, server)
    except BadQuery as error:
        await process.complain(str(error).replace("dig:", "host:"))
        return 1
    if server:
        lines = [f"Name: {server}", f"Address: {servers[0]}#{query.port}", "Aliases: "]
        await process.print("Using domain server:\n" + "\n".join(lines) + "\n\n")
    if is_address(query.name):
        return await _host_one(process, query, reverse_name(query.name), servers, ["PTR"])
    return await _host_one(process, query, "", servers, kinds)


async def _host_one(process: Process, query: Query, name: str, servers: list[str], kinds: list[str]) -> int:
    async def tell(text: str) -> None:
        await process.print(f"{text}\n")

    configuration = process.resolver().configuration()
    names = [name] if name else candidates(query.name, configuration)
    try:
        for number, each in enumerate(names):
            reply = await ask(process, query.of_kind(kinds[0]), each, servers, tell)
            if reply.message.rcode() == dns.rcode.NOERROR or number == len(names) - 1:
                break
        if reply.message.rcode() != dns.rcode.NOERROR:
            return await _not_found(process, name or query.name, reply.message.rcode())
        await process.print(_host_lines(reply.message, each, kinds[0], explicit=len(kinds) == 1))
        for kind in kinds[1:]:
            more = await ask(process, query.of_kind(kind), each, servers, tell)
            await process.print(_host_lines(more.message, each, kind, explicit=False))
    except NoReply:
        await process.print(";; no servers could be reached\n")
        return 1
    except dns.exception.DNSException:
        await process.complain(f"host: '{query.name}' is not a legal name (bad label)")
        return 1
    return 0


async def _not_found(process: Process, name: str, code: dns.rcode.Rcode) -> int:
    await process.print(f"Host {name.rstrip('.')} not found: {int(code)}({dns.rcode.to_text(code)})\n")
    return 1


def _host_lines(message: dns.message.Message, name: str, kind: str, *, explicit: bool) -> str:
    lines = [
        answer_line(rrset.name.to_text(omit_final_dot=True), rrset.rdtype, record.to_text())
        for rrset in message.answer
        for record in rrset
        if explicit or kind in ("A", "PTR") or rrset.rdtype == dns.rdatatype.from_text(kind)
    ]
    if not lines and explicit:
        lines = [f"{name.rstrip('.')} has no {kind} record"]
    return "".join(f"{line}\n" for line in lines)
