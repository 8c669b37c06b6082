"""glibc's stub resolver (glibc `resolv/res_send.c`, `resolv/res_query.c`).

One server after the other, each with the same socket at every attempt. Both questions of a name go at once; if one of
them stays without an answer they go one after the other, and then from a socket each, and so does all that follows.
"""

import asyncio
from typing import Final

import dns.exception
import dns.flags
import dns.rcode

from podwire.services.chassis.chance import RandomBits
from podwire.services.node.network.dns_exchange import (
    Answer,
    Found,
    Question,
    ResolutionFailure,
    by_tcp,
    found,
    is_cut,
    next_answer,
    open_connected,
    question,
)
from podwire.services.node.network.resolv_conf import Configuration, candidates
from podwire.services.node.network.sockets import Network, UdpChannel

_REJECTIONS: Final = (dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED)
"""Answers after which the next server is asked."""
_EDNS_SIZE: Final = 1200


class _Unanswered(Exception):
    """No server had an answer; `failed` if one said so itself (SERVFAIL)."""

    def __init__(self, *, failed: bool) -> None:
        super().__init__()
        self.failed = failed


class Glibc:
    """The resolver of one program."""

    def __init__(self, network: Network, configuration: Configuration, random: RandomBits) -> None:
        self._network, self._configuration, self._random = network, configuration, random
        flags = configuration.flags
        self._first = random.getrandbits(16) if "rotate" in flags else 0
        self._singly = "single-request" in flags or "single-request-reopen" in flags
        self._reopens = "single-request-reopen" in flags
        self._failed = False

    def kinds(self, families: tuple[str, ...]) -> list[str]:
        """The records that are asked for: of the families that the namespace has addresses of (AI_ADDRCONFIG)."""
        return [{"4": "A", "6": "AAAA"}[each] for each in families or ("4",)]

    async def look_up(self, name: str, kinds: list[str]) -> Found:
        """The addresses of a name through the search list (res_search). Raises ResolutionFailure.

        What exists without addresses, or makes servers fail, does not end the search; silence does, unless it is the
        first question, about the name as it is.
        """
        names = candidates(name, self._configuration)
        as_it_is, failed = len(names) > 1 and names[0] == name, False
        temporary: bool | None = None
        for number, candidate in enumerate(names):
            try:
                if (one := found(await self._send(candidate, kinds))).addresses:
                    return one
                was_temporary = False
            except _Unanswered as error:
                was_temporary, failed = True, failed or error.failed
                if not error.failed and not (as_it_is and number == 0):
                    raise ResolutionFailure(name, temporary=True) from None
            if as_it_is and number == 0:
                temporary = was_temporary
        raise ResolutionFailure(name, temporary=failed if temporary is None else temporary)

    async def ask(self, name: str, kind: str) -> Answer | None:
        """The answer to one question, None if every server failed. Raises ResolutionFailure if nobody answers."""
        try:
            answers = await self._send(name, [kind])
        except _Unanswered as error:
            if error.failed:
                return None
            raise ResolutionFailure(name, temporary=True) from None
        return answers[0] if answers else None

    async def _send(self, name: str, kinds: list[str]) -> list[Answer]:
        """The answers of the first server that has some (res_send). Raises _Unanswered."""
        try:
            questions = [self._question(name, kind) for kind in kinds]
        except dns.exception.DNSException:
            return []
        sockets: dict[int, UdpChannel] = {}
        count, self._failed = len(self._configuration.servers), False
        try:
            for _ in range(self._configuration.attempts):
                for shift in range(count):
                    if answers := await self._from((shift + self._first) % count, questions, sockets):
                        return answers
        finally:
            for channel in sockets.values():
                channel.close()
        raise _Unanswered(failed=self._failed)

    def _question(self, name: str, kind: str) -> Question:
        made = question(name, kind, self._random)
        if "trust-ad" in self._configuration.flags:
            made.flags |= dns.flags.AD
        if "edns0" in self._configuration.flags:
            made.use_edns(0, payload=_EDNS_SIZE)
        return made

    async def _from(self, number: int, questions: list[Question], sockets: dict[int, UdpChannel]) -> list[Answer]:
        """One server's answers; none if it is silent, refuses or fails (send_dg, send_vc)."""
        server = self._configuration.servers[number]
        answers: list[Answer | None] = [None] * len(questions)
        try:
            if "use-vc" not in self._configuration.flags:
                answers = await self._datagrams(number, questions, sockets)
                if not any(answer is not None and is_cut(answer) for answer in answers):
                    return [answer for answer in answers if answer is not None]
            async with asyncio.timeout(self._configuration.timeout):
                return [await by_tcp(self._network, each, server) for each in questions]
        except (OSError, TimeoutError, dns.exception.DNSException):
            if (channel := sockets.pop(number, None)) is not None:
                channel.close()
            return []

    async def _datagrams(
        self, number: int, questions: list[Question], sockets: dict[int, UdpChannel]
    ) -> list[Answer | None]:
        """What comes before this server's time is over: its share of the timeout, twice as long for each next one."""
        shares = (self._configuration.timeout << number) // len(self._configuration.servers)
        answers: list[Answer | None] = [None] * len(questions)
        while True:
            silent = await self._exchange(number, questions, answers, sockets, max(shares, 1))
            if not silent or not any(answers) or self._reopens:
                return answers
            self._singly, self._reopens = True, self._singly

    async def _exchange(
        self,
        number: int,
        questions: list[Question],
        answers: list[Answer | None],
        sockets: dict[int, UdpChannel],
        seconds: int,
    ) -> bool:
        """Fills in the answers; whether some question stayed without any. Raises OSError."""
        waves = [[each] for each in questions] if self._singly else [questions]
        server = self._configuration.servers[number]
        for count, wave in enumerate(waves):
            if self._reopens and count and number in sockets:
                sockets.pop(number).close()
            channel = sockets.setdefault(number, sockets.get(number) or open_connected(self._network, server))
            for each in wave:
                channel.send(each.to_wire(), (server, 53))
            try:
                async with asyncio.timeout(seconds):
                    await self._collect(channel, wave, questions, answers)
            except TimeoutError:
                return True
        return False

    async def _collect(
        self, channel: UdpChannel, wave: list[Question], questions: list[Question], answers: list[Answer | None]
    ) -> None:
        """Returns when every question of a wave has an answer, or was rejected."""
        waiting = [each.id for each in wave]
        while waiting:
            number, answer, _ = await next_answer(channel, questions)
            if answer.id not in waiting:
                continue
            waiting.remove(answer.id)
            if answer.rcode() not in _REJECTIONS:
                answers[number] = answer
            else:
                self._failed = self._failed or answer.rcode() == dns.rcode.SERVFAIL
