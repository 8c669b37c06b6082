"""musl's stub resolver (musl 1.2.5 `src/network/lookup_name.c`, `src/network/res_msend.c`).

All servers are asked at once, from one socket, and the first good answer counts. A socket that is not connected hears
of no refusal: a dead server is as silent as a lost packet.
"""

import asyncio
from typing import Final

import dns.exception
import dns.rcode

from podwire.services.chassis.chance import RandomBits
from podwire.services.node.network.dns_exchange import (
    PORT,
    Answer,
    Found,
    Question,
    ResolutionFailure,
    by_tcp,
    found,
    is_cut,
    next_answer,
    question,
)
from podwire.services.node.network.resolv_conf import Configuration
from podwire.services.node.network.sockets import Network, UdpChannel

_LONGEST: Final = 255
_GOOD: Final = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def candidates(name: str, configuration: Configuration) -> list[str]:
    """The names to ask for: the search list only for a name with fewer dots than ndots, and it comes first."""
    if name.endswith(".") or name.count(".") >= configuration.ndots:
        return [name]
    searched = [f"{name}.{domain}" for domain in configuration.search if len(name) + len(domain) < _LONGEST]
    return [*searched, name]


class Musl:
    """The resolver of one program."""

    def __init__(self, network: Network, configuration: Configuration, random: RandomBits) -> None:
        self._network, self._configuration, self._random = network, configuration, random

    def kinds(self, families: tuple[str, ...]) -> list[str]:
        """The records that are asked for: of both families, whatever the namespace has."""
        return ["A", "AAAA"]

    async def look_up(self, name: str, kinds: list[str]) -> Found:
        """The addresses of a name (name_from_dns_search). Raises ResolutionFailure: only NXDOMAIN lets the search go
        on; a name without addresses ends it, as silence does."""
        for candidate in candidates(name, self._configuration):
            answers = await self._answers(candidate, kinds)
            if any(answer is None for answer in answers):
                raise ResolutionFailure(name, temporary=True)
            known = [answer for answer in answers if answer is not None]
            if all(answer.rcode() == dns.rcode.NOERROR for answer in known):
                one = found(known)
                if not one.addresses:
                    break
                return one
        raise ResolutionFailure(name, temporary=False)

    async def ask(self, name: str, kind: str) -> Answer | None:
        """The answer to one question. Raises ResolutionFailure if nobody answers."""
        [answer] = await self._answers(name, [kind])
        if answer is None:
            raise ResolutionFailure(name, temporary=True)
        return answer

    async def _answers(self, name: str, kinds: list[str]) -> list[Answer | None]:
        """The answer to each question within the timeout, None where there is none (res_msend)."""
        try:
            questions = [question(name, kind, self._random) for kind in kinds]
        except dns.exception.DNSException:
            raise ResolutionFailure(name, temporary=False) from None
        answers: list[Answer | None] = [None] * len(questions)
        channel = self._network.open_udp()
        try:
            async with asyncio.timeout(self._configuration.timeout):
                await self._until_answered(channel, questions, answers)
        except (TimeoutError, OSError, dns.exception.DNSException):
            return answers
        finally:
            channel.close()
        return answers

    async def _until_answered(
        self, channel: UdpChannel, questions: list[Question], answers: list[Answer | None]
    ) -> None:
        interval = self._configuration.timeout / self._configuration.attempts
        while not all(answers):
            for asked, answer in zip(questions, answers, strict=True):
                if answer is None:
                    self._send(channel, asked, self._configuration.servers)
            try:
                async with asyncio.timeout(interval):
                    await self._collect(channel, questions, answers)
            except TimeoutError:
                pass

    def _send(self, channel: UdpChannel, asked: Question, servers: tuple[str, ...]) -> None:
        for server in servers:
            try:
                channel.send(asked.to_wire(), (server, PORT))
            except OSError:
                continue

    async def _collect(self, channel: UdpChannel, questions: list[Question], answers: list[Answer | None]) -> None:
        """Returns when every question has a good answer. A server that fails is asked again at once, some times; other
        codes are ignored."""
        again = 2 * len(questions)
        while not all(answers):
            number, answer, source = await next_answer(channel, questions)
            if answers[number] is not None or source[0] not in self._configuration.servers:
                continue
            if answer.rcode() in _GOOD:
                is_whole = not is_cut(answer)
                answers[number] = answer if is_whole else await by_tcp(self._network, questions[number], source[0])
            elif answer.rcode() == dns.rcode.SERVFAIL and again:
                again -= 1
                self._send(channel, questions[number], (source[0],))
