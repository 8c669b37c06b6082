"""Names to addresses as the program's C library does it: /etc/hosts, then the name servers of /etc/resolv.conf."""

import ipaddress
from typing import Final

import dns.rdatatype

from podwire.services.chassis.chance import RandomBits
from podwire.services.node.files import ContainerFiles, Files
from podwire.services.node.network.dns_exchange import (
    PORT,
    Answer,
    Found,
    Question,
    ResolutionFailure,
    by_tcp,
    is_cut,
    next_answer,
    open_connected,
    question,
)
from podwire.services.node.network.glibc import Glibc
from podwire.services.node.network.musl import Musl
from podwire.services.node.network.resolv_conf import (
    Configuration,
    Library,
    is_address,
    read_configuration,
    read_hosts,
)
from podwire.services.node.network.sockets import Network

_KINDS: Final = {"4": "A", "6": "AAAA"}
_UNIQUE_LOCAL: Final = ipaddress.IPv6Network("fc00::/7")


class Resolver:
    """Resolves in one network namespace with one container's files."""

    def __init__(
        self, network: Network, files: Files | ContainerFiles, random: RandomBits, library: Library = "glibc"
    ) -> None:
        self._network, self._files, self._random, self._library = network, files, random, library

    def _text(self, path: str) -> str:
        return (self._files.read(path) or b"").decode(errors="replace")

    def configuration(self) -> Configuration:
        """/etc/resolv.conf as it is now."""
        return read_configuration(self._text("/etc/resolv.conf"), self._library)

    def _servers(self) -> Glibc | Musl:
        kind = Musl if self._library == "musl" else Glibc
        return kind(self._network, self.configuration(), self._random)

    async def addresses(self, name: str, family: str = "") -> list[str]:
        """All addresses of a family ("4", "6", "" for any), in the order to try. Raises ResolutionFailure."""
        return (await self.resolve(name, family))[1]

    async def resolve(self, name: str, family: str = "") -> tuple[str, list[str]]:
        """The canonical name, and all addresses of a family in the order to try. Raises ResolutionFailure."""
        if is_address(name):
            return name, _of_family([name], family, name)
        listed = read_hosts(self._text("/etc/hosts")).get(name.lower().rstrip("."), [])
        if found := [each for each in listed if family in ("", _family(each))]:
            return name, self._sorted(found)
        servers = self._servers()
        kinds = [_KINDS[family]] if family else servers.kinds(self._network.families())
        one: Found = await servers.look_up(name, kinds)
        return one.canonical, self._sorted(list(one.addresses))

    def _sorted(self, texts: list[str]) -> list[str]:
        """Those of which there is a source first, then by precedence (RFC 6724 sections 6 and 2.1)."""
        own = self._network.families()
        return sorted(texts, key=lambda text: (_family(text) not in own, -self._precedence(text)))

    def _precedence(self, text: str) -> int:
        """Of glibc's gai.conf and of musl's table: IPv4 has 10; unique local addresses have musl's 3, glibc's 40."""
        if _family(text) == "4":
            return 10
        is_local = ipaddress.ip_address(text) in _UNIQUE_LOCAL
        return 3 if is_local and self._library == "musl" else 40

    async def names(self, address: str) -> list[str]:
        """The names of an address: /etc/hosts, then PTR records. Raises ResolutionFailure."""
        found = [name for name, texts in read_hosts(self._text("/etc/hosts")).items() if address in texts]
        if found:
            return found
        answer = await self._servers().ask(ipaddress.ip_address(address).reverse_pointer, "PTR")
        records = [] if answer is None else [record for rrset in answer.answer for record in rrset]
        texts = [record.to_text().rstrip(".") for record in records if record.rdtype == dns.rdatatype.PTR]
        if not texts:
            raise ResolutionFailure(address, temporary=False)
        return texts

    # -- what tools ask by themselves

    async def query(self, name: str, kind: str, server: str, port: int = PORT) -> Answer:
        """One server's answer, by TCP if it was truncated. Waits for ever: bound it. Raises OSError and
        dns.exception.DNSException (a name that is none)."""
        asked = question(name, kind, self._random)
        answer = await self.ask(asked, server, port)
        return await self.ask_by_tcp(asked, server, port) if is_cut(answer) else answer

    async def ask(self, asked: Question, server: str, port: int = PORT) -> Answer:
        """One server's answer in a datagram. Waits for ever: bound it. Raises OSError."""
        channel = open_connected(self._network, server, port)
        try:
            channel.send(asked.to_wire(), (server, port))
            return (await next_answer(channel, [asked]))[1]
        finally:
            channel.close()

    async def ask_by_tcp(self, asked: Question, server: str, port: int = PORT) -> Answer:
        """One server's answer over TCP. Waits for ever: bound it. Raises OSError and dns.exception.DNSException."""
        return await by_tcp(self._network, asked, server, port)


def _family(address: str) -> str:
    return "6" if ":" in address else "4"


def _of_family(addresses: list[str], family: str, name: str) -> list[str]:
    found = [address for address in addresses if family in ("", _family(address))]
    if not found:
        raise ResolutionFailure(name, temporary=False)
    return found
