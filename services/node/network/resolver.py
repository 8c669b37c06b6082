"""Names to addresses as the C library does it: /etc/hosts, /etc/resolv.conf, the search list (resolver(3)).

Of each family that the namespace has addresses of is asked (AI_ADDRCONFIG), IPv6 stands before IPv4 (RFC 6724 with the
precedences of glibc's gai.conf; musl's put unique local addresses last). Datagrams first, TCP for truncated answers.
"""

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

from podwire.proto.packet.addresses import parse_address
from podwire.proto.packet.errors import PacketError
from podwire.services.chassis.chance import RandomBits
from podwire.services.node.files import ContainerFiles, Files
from podwire.services.node.network.sockets import Network, UdpChannel

PORT: Final = 53
_MOST_SERVERS: Final = 3
_MOST_ALIASES: Final = 16
_KINDS: Final = {"4": "A", "6": "AAAA"}
_ELSEWHERE: Final = (dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED)
"""Answers after which the next server is asked."""


class ResolutionFailure(Exception):
    """No address. `temporary` if nobody answered (EAI_AGAIN), else the name does not exist (EAI_NONAME)."""

    def __init__(self, name: str, *, temporary: bool) -> None:
        super().__init__("Temporary failure in name resolution" if temporary else "Name or service not known")
        self.name, self.temporary = name, temporary


@dataclass(frozen=True, slots=True)
class Configuration:
    """What /etc/resolv.conf says; `timeout` in seconds."""

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2


def read_configuration(text: str) -> Configuration:
    """Reads resolv.conf; lines that are none are skipped, as the library does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options = {"ndots": 1, "timeout": 5, "attempts": 2}
    limits = {"ndots": 15, "timeout": 30, "attempts": 5}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and is_address(words[1]):
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
        elif words[0] == "options":
            for word in words[1:]:
                name, _, value = word.partition(":")
                if name in options and value.isascii() and value.isdigit() and len(value) < 9:
                    options[name] = min(int(value), limits[name])
    return Configuration(
        tuple(servers[:_MOST_SERVERS]) or ("127.0.0.1",),
        search,
        options["ndots"],
        max(options["timeout"], 1),
        max(options["attempts"], 1),
    )


def candidates(name: str, configuration: Configuration) -> list[str]:
    """The names to ask for, in order: a name with fewer dots than ndots goes through the search list first."""
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}".rstrip(".") for domain in configuration.search]
    return [name, *searched] if name.count(".") >= configuration.ndots else [*searched, name]


def read_hosts(text: str) -> dict[str, list[str]]:
    """Addresses by name (lower case) from hosts(5)."""
    hosts: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and is_address(words[0]):
            for name in words[1:]:
                hosts.setdefault(name.lower(), []).append(words[0])
    return hosts


def is_address(text: str) -> bool:
    """Whether it is an address of either family."""
    try:
        parse_address(text)
    except PacketError:
        return False
    return True


class Resolver:
    """Resolves in one network namespace with one container's files."""

    def __init__(self, network: Network, files: Files | ContainerFiles, random: RandomBits) -> None:
        self._network, self._files, self._random = network, files, random

    def _text(self, path: str) -> str:
        return (self._files.read(path) or b"").decode(errors="replace")

    def configuration(self) -> Configuration:
        """/etc/resolv.conf as it is now."""
        return read_configuration(self._text("/etc/resolv.conf"))

    async def addresses(self, name: str, family: str = "") -> list[str]:
        """All addresses of a family ("4", "6", "" for any), in the server's order. Raises ResolutionFailure."""
        return (await self.resolve(name, family))[1]

    async def resolve(self, name: str, family: str = "") -> tuple[str, list[str]]:
        """The canonical name, and all addresses of a family in the server's order. Raises ResolutionFailure."""
        if is_address(name):
            return name, _of_family([name], family, name)
        listed = read_hosts(self._text("/etc/hosts")).get(name.lower().rstrip("."), [])
        if found := [each for each in listed if family in ("", _family(each))]:
            return name, self._sorted(found)
        configuration = self.configuration()
        kinds = [_KINDS[each] for each in ((family,) if family else self._network.families() or ("4",))]
        for candidate in candidates(name, configuration):
            canonical, texts = await self._ask_kinds(candidate, configuration, name, kinds)
            if texts:
                return canonical, self._sorted(texts)
        raise ResolutionFailure(name, temporary=False)

    def _sorted(self, texts: list[str]) -> list[str]:
        """IPv6 before IPv4, as far as there is a source for it."""
        first = "6" if "6" in self._network.families() else "4"
        return sorted(texts, key=lambda text: _family(text) != first)

    async def _ask_kinds(
        self, candidate: str, configuration: Configuration, name: str, kinds: list[str]
    ) -> tuple[str, list[str]]:
        """Asks for every kind at once, as the library does; nobody's answer is a failure only if all are."""
        if len(kinds) == 1:
            return _found(await self._ask(candidate, configuration, name, kinds[0]))
        asked = (self._ask(candidate, configuration, name, kind) for kind in kinds)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(failures) == len(kinds):
            raise failures[0]
        found = [_found(answer) for answer in answers if not isinstance(answer, BaseException)]
        canonical = next((canonical for canonical, texts in found if texts), "")
        return canonical, [text for _, texts in found for text in texts]

    async def names(self, address: str) -> list[str]:
        """The names of an address: /etc/hosts, then PTR records. Raises ResolutionFailure."""
        found = [name for name, texts in read_hosts(self._text("/etc/hosts")).items() if address in texts]
        if found:
            return found
        reverse = ipaddress.ip_address(address).reverse_pointer
        answer = await self._ask(reverse, self.configuration(), address, "PTR")
        records = [] if answer is None else [record for rrset in answer.answer for record in rrset]
        texts = [record.to_text().rstrip(".") for record in records if record.rdtype == dns.rdatatype.PTR]
        if not texts:
            raise ResolutionFailure(address, temporary=False)
        return texts

    async def _ask(
        self, candidate: str, configuration: Configuration, name: str, kind: str = "A"
    ) -> dns.message.Message | None:
        """The first usable answer, None if the name does not exist. Raises ResolutionFailure if nobody answers."""
        answered = False
        for _ in range(configuration.attempts):
            for server in configuration.servers:
                try:
                    async with asyncio.timeout(configuration.timeout):
                        answer = await self.query(candidate, kind, server)
                except (TimeoutError, OSError):
                    continue
                except dns.exception.DNSException:
                    return None
                if answer.rcode() not in _ELSEWHERE:
                    return answer
                answered = True
        if answered:
            return None
        raise ResolutionFailure(name, temporary=True)

    async def query(self, name: str, kind: str, server: str, port: int = PORT) -> dns.message.Message:
        """One server's answer, by TCP if it was truncated. Waits for ever: bound it. Raises OSError and
        dns.exception.DNSException (a name that is none)."""
        question = dns.message.make_query(dns.name.from_text(name), kind, id=self._random.getrandbits(16))
        answer = await self.ask(question, server, port)
        return await self.ask_by_tcp(question, server, port) if answer.flags & dns.flags.TC else answer

    async def ask(self, question: dns.message.Message, server: str, port: int = PORT) -> dns.message.Message:
        """One server's answer in a datagram. Waits for ever: bound it. Raises OSError."""
        channel = self._network.open_udp()
        try:
            with self._network.shell.turn():
                channel.socket.connect((server, port))
            channel.send(question.to_wire(), (server, port))
            return await _matching(channel, question)
        finally:
            channel.close()

    async def ask_by_tcp(self, question: dns.message.Message, server: str, port: int = PORT) -> dns.message.Message:
        """One server's answer over TCP. Waits for ever: bound it. Raises OSError and dns.exception.DNSException."""
        stream = await self._network.connect((server, port))
        try:
            wire = question.to_wire()
            await stream.write(len(wire).to_bytes(2) + wire)
            length = int.from_bytes(await stream.read_exactly(2))
            return dns.message.from_wire(await stream.read_exactly(length))
        finally:
            stream.close()


async def _matching(channel: UdpChannel, question: dns.message.Message) -> dns.message.Message:
    """The next datagram that answers the question; others are ignored."""
    while True:
        datagram = await channel.receive()
        try:
            answer = dns.message.from_wire(datagram.payload, ignore_trailing=True)
        except dns.exception.DNSException:
            continue
        if answer.id == question.id and answer.flags & dns.flags.QR:
            return answer


def _family(address: str) -> str:
    return "6" if ":" in address else "4"


def _of_family(addresses: list[str], family: str, name: str) -> list[str]:
    found = [address for address in addresses if family in ("", _family(address))]
    if not found:
        raise ResolutionFailure(name, temporary=False)
    return found


def _found(answer: dns.message.Message | None) -> tuple[str, list[str]]:
    """The name that the question's name leads to through aliases, and its addresses."""
    if answer is None or not answer.question:
        return "", []
    name = answer.question[0].name
    for _ in range(_MOST_ALIASES):
        for rrset in answer.answer:
            if rrset.name == name and rrset.rdtype == answer.question[0].rdtype:
                return name.to_text(omit_final_dot=True), [record.to_text() for record in rrset]
        alias = next((each for each in answer.answer if each.name == name and each.rdtype == dns.rdatatype.CNAME), None)
        if alias is None:
            break
        name = alias[0].target
    return "", []
