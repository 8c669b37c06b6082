"""Questions and answers on sockets: datagrams of one socket, TCP for answers that are cut, what an answer holds."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype

from podwire.services.chassis.chance import RandomBits
from podwire.services.node.network.sockets import Network, UdpChannel

PORT: Final = 53
_MOST_ALIASES: Final = 16

Question = dns.message.Message
Answer = dns.message.Message


class ResolutionFailure(Exception):
    """No address. `temporary` if nobody answered (EAI_AGAIN), else the name does not exist (EAI_NONAME)."""

    def __init__(self, name: str, *, temporary: bool) -> None:
        super().__init__("Temporary failure in name resolution" if temporary else "Name or service not known")
        self.name, self.temporary = name, temporary


class Found(NamedTuple):
    """The name that a question's name leads to through aliases, and its addresses."""

    canonical: str = ""
    addresses: tuple[str, ...] = ()


def question(name: str, kind: str, random: RandomBits) -> Question:
    """A question with an id of its own. Raises dns.exception.DNSException for a name that is none."""
    return dns.message.make_query(dns.name.from_text(name), kind, id=random.getrandbits(16))


async def next_answer(channel: UdpChannel, questions: Sequence[Question]) -> tuple[int, Answer, tuple[str, int]]:
    """The next datagram that answers one of the questions, which one, and who sent it; others are ignored. Waits for
    ever: bound it. Raises OSError."""
    while True:
        datagram = await channel.receive()
        try:
            answer = dns.message.from_wire(datagram.payload, ignore_trailing=True)
        except dns.exception.DNSException:
            continue
        for number, asked in enumerate(questions):
            if answer.id == asked.id and answer.flags & dns.flags.QR:
                return number, answer, datagram.source


def open_connected(network: Network, server: str, port: int = PORT) -> UdpChannel:
    """A datagram socket that hears of its server's refusals."""
    channel = network.open_udp()
    with network.shell.turn():
        channel.socket.connect((server, port))
    return channel


async def by_tcp(network: Network, asked: Question, server: str, port: int = PORT) -> Answer:
    """One server's answer over TCP. Waits for ever: bound it. Raises OSError and dns.exception.DNSException."""
    stream = await network.connect((server, port))
    try:
        wire = asked.to_wire()
        await stream.write(len(wire).to_bytes(2) + wire)
        length = int.from_bytes(await stream.read_exactly(2))
        return dns.message.from_wire(await stream.read_exactly(length))
    finally:
        stream.close()


def is_cut(answer: Answer) -> bool:
    """Whether it did not fit into a datagram."""
    return bool(answer.flags & dns.flags.TC)


def found(answers: Iterable[Answer]) -> Found:
    """All addresses of some answers about one name."""
    each = [_found(answer) for answer in answers]
    canonical = next((one.canonical for one in each if one.addresses), "")
    return Found(canonical, tuple(address for one in each for address in one.addresses))


def _found(answer: Answer) -> Found:
    if not answer.question:
        return Found()
    name, kind = answer.question[0].name, answer.question[0].rdtype
    for _ in range(_MOST_ALIASES):
        for rrset in answer.answer:
            if rrset.name == name and rrset.rdtype == kind:
                return Found(name.to_text(omit_final_dot=True), tuple(record.to_text() for record in rrset))
        alias = next((each for each in answer.answer if each.name == name and each.rdtype == dns.rdatatype.CNAME), None)
        if alias is None:
            break
        name = alias[0].target
    return Found()
