"""How glibc and musl look names up: which questions, in which order, and what ends the search.

Each row is from the sources named in services/node/network/glibc.py and musl.py.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from surroundings import CLIENT, SERVER, Machine

from podwire.proto.messages.kernel import AddressAdd
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.resolv_conf import Library, read_configuration
from podwire.services.node.network.resolver import Resolver

SEARCH: Final = "search ns.svc.k svc.k\noptions ndots:5\n"
ONE: Final = f"nameserver {SERVER}\n{SEARCH}"
HOST: Final = "10.244.1.1"
TWO: Final = f"nameserver {SERVER}\nnameserver {HOST}\n{SEARCH}"
Zone = dict[str, str]
"""By name: an address, or how the server answers. What is not named does not exist."""
WAYS: Final = {"NODATA": dns.rcode.NOERROR, "SERVFAIL": dns.rcode.SERVFAIL, "REFUSED": dns.rcode.REFUSED}


@dataclass
class Lookup:
    """What came of it: addresses or the failure's text, the questions (server, type and name), and the seconds."""

    outcome: str
    asked: list[str]
    seconds: float

    @property
    def names(self) -> list[str]:
        """The names that were asked for, each once."""
        return list(dict.fromkeys(each.split()[-1] for each in self.asked))


def answer(query: dns.message.Message, zone: Zone) -> dns.message.Message | None:
    response = dns.message.make_response(query)
    name, kind = query.question[0].name.to_text(omit_final_dot=True), query.question[0].rdtype.name
    found = zone.get(f"{name} {kind}") or zone.get(name, "NXDOMAIN")
    if found == "SILENT":
        return None
    if found == "NXDOMAIN" or found in WAYS:
        response.set_rcode(WAYS.get(found, dns.rcode.NXDOMAIN))
    elif kind == "A":
        response.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", found))
    return response


async def serve(machine: Machine, where: str, zone: Zone, asked: list[str], seen: list[dns.message.Message]) -> None:
    channel = machine.process([], machine.nobody, bytearray(), bytearray(), where).network.open_udp(53)
    while True:
        datagram = await channel.receive()
        query = dns.message.from_wire(datagram.payload)
        seen.append(query)
        question = query.question[0]
        asked.append(f"{where or 'host'} {question.rdtype.name} {question.name.to_text(omit_final_dot=True)}")
        if (response := answer(query, zone)) is not None:
            channel.send(response.to_wire(), datagram.source)


def look_up(
    library: Library,
    name: str,
    zone: Zone,
    text: str = ONE,
    other: Zone | None = None,
    family: str = "",
    seen: list[dns.message.Message] | None = None,
    *,
    dual: bool = False,
    seed: int = 7,
) -> Lookup:
    """A lookup from the pod `client`, with an IPv6 address if it is `dual`; `other` is what a server on the node itself
    knows (None: there is none)."""
    machine, asked = Machine(seed, {"/etc/resolv.conf": text.encode()}), list[str]()
    if dual:
        apply_operation(machine.kernel, AddressAdd(netns="client", device="eth0", address="fd00::2/64"))

    async def main(machine: Machine) -> str:
        loop, queries = asyncio.get_running_loop(), seen if seen is not None else []
        tasks = [loop.create_task(serve(machine, "server", zone, asked, queries))]
        if other is not None:
            tasks.append(loop.create_task(serve(machine, "", other, asked, queries)))
        await asyncio.sleep(0.001)
        process = machine.process([], machine.nobody, bytearray(), bytearray())
        resolver = Resolver(process.network, process.files, process.random, library)
        try:
            return " ".join(await resolver.addresses(name, family))
        except ResolutionFailure as failure:
            return str(failure)
        finally:
            for task in tasks:
                task.cancel()

    outcome = machine.play(main)
    return Lookup(outcome, asked, round(machine.loop.now_ns / 1e9, 1))


UNKNOWN, AGAIN = "Name or service not known", "Temporary failure in name resolution"


@pytest.mark.parametrize(
    ("name", "glibc", "musl"),
    [
        ("web", ["web.ns.svc.k", "web.svc.k", "web"], ["web.ns.svc.k", "web.svc.k", "web"]),
        ("a.b.c.d.e.f", ["a.b.c.d.e.f", "a.b.c.d.e.f.ns.svc.k", "a.b.c.d.e.f.svc.k"], ["a.b.c.d.e.f"]),
        ("web.", ["web"], ["web"]),
    ],
)
def test_the_search_list(name: str, glibc: list[str], musl: list[str]) -> None:
    """musl never searches for a name that has enough dots."""
    assert look_up("glibc", name, {}).names == glibc
    assert look_up("musl", name, {}).names == musl


@pytest.mark.parametrize(
    ("first", "glibc", "musl"),
    [
        ("NXDOMAIN", "10.0.0.9", "10.0.0.9"),
        ("NODATA", "10.0.0.9", UNKNOWN),
        ("SERVFAIL", "10.0.0.9", AGAIN),
        ("REFUSED", AGAIN, AGAIN),
        ("SILENT", AGAIN, AGAIN),
    ],
)
def test_what_ends_the_search(first: str, glibc: str, musl: str) -> None:
    zone = {"web.ns.svc.k": first, "web.svc.k": "10.0.0.9"}
    assert look_up("glibc", "web", zone).outcome == glibc
    assert look_up("musl", "web", zone).outcome == musl


def test_a_name_as_it_is_may_stay_without_an_answer_in_glibc() -> None:
    zone = {"a.b.c.d.e.f": "SILENT", "a.b.c.d.e.f.ns.svc.k": "10.0.0.9"}
    assert look_up("glibc", "a.b.c.d.e.f", zone).outcome == "10.0.0.9"
    assert look_up("musl", "a.b.c.d.e.f", zone).outcome == AGAIN


@pytest.mark.parametrize(
    ("library", "text", "questions", "seconds"),
    [
        ("glibc", ONE, 2, 10.0),
        ("musl", ONE, 4, 5.0),
        ("glibc", f"{ONE}options timeout:1 attempts:3\n", 3, 3.0),
        ("musl", f"{ONE}options timeout:1 attempts:5\n", 10, 1.0),
        ("glibc", TWO, 4, 14.0),
        ("musl", TWO, 8, 5.0),
    ],
)
def test_silence(library: Library, text: str, questions: int, seconds: float) -> None:
    """glibc waits for the timeout at each attempt, shared among its servers, twice as long at each next one; musl waits
    once, and repeats within it what it asked all of them."""
    silent = {"web.ns.svc.k": "SILENT"}
    lookup = look_up(library, "web", silent, text, silent)
    assert (lookup.outcome, len(lookup.asked), lookup.seconds) == (AGAIN, questions, seconds)


def test_musl_asks_all_servers_at_once_and_for_both_families() -> None:
    zone = {"web.ns.svc.k": "10.0.0.9"}
    lookup = look_up("musl", "web", {"web.ns.svc.k": "SILENT"}, TWO, zone)
    assert (lookup.outcome, lookup.seconds) == ("10.0.0.9", 0.0)
    assert sorted(lookup.asked) == [
        f"{server} {kind} web.ns.svc.k" for server in ("host", "server") for kind in ("A", "AAAA")
    ]
    lookup = look_up("glibc", "web", {"web.ns.svc.k": "SILENT"}, TWO, zone)
    assert (lookup.outcome, lookup.seconds) == ("10.0.0.9", 2.0)
    assert lookup.asked == ["server A web.ns.svc.k", "host A web.ns.svc.k"], "no IPv6 address: no AAAA"


def test_a_server_that_is_not_there_is_heard_of_by_glibc_alone() -> None:
    text = f"nameserver {CLIENT}\nnameserver {SERVER}\n{SEARCH}"
    assert look_up("glibc", "web", {"web.ns.svc.k": "10.0.0.9"}, text).seconds == 0.0
    text = f"nameserver {CLIENT}\n{SEARCH}"
    assert look_up("glibc", "web", {}, text).seconds == 0.0
    assert look_up("musl", "web", {}, text).seconds == 5.0


def test_musl_asks_a_server_that_fails_again_at_once() -> None:
    failing = look_up("musl", "web", {"web.ns.svc.k": "SERVFAIL"}, f"{ONE}options attempts:1\n", family="4")
    assert (failing.outcome, len(failing.asked), failing.seconds) == (AGAIN, 3, 5.0)


def test_a_family_without_an_answer_is_asked_for_after_the_other_in_glibc() -> None:
    """Servers that answer one question of two: the second goes alone, then from another socket, then is given up."""
    zone = {"web.ns.svc.k": "10.0.0.9", "web.ns.svc.k AAAA": "SILENT"}
    lookup = look_up("glibc", "web", zone, dual=True)
    assert lookup.outcome == "10.0.0.9"
    assert [each.split()[1] for each in lookup.asked] == ["A", "AAAA"] * 3
    assert lookup.seconds == 15.0


@pytest.mark.parametrize(
    ("option", "holds"),
    [
        ("trust-ad", lambda query: query.flags & dns.flags.AD),
        ("edns0", lambda query: query.payload == 1200),
    ],
)
def test_options_of_glibc_change_its_questions(option: str, holds: Callable[[dns.message.Message], bool]) -> None:
    for library, text, wanted in (("glibc", "", False), ("glibc", option, True), ("musl", option, False)):
        seen: list[dns.message.Message] = []
        look_up(library, "web", {}, f"{ONE}options {text}\n", seen=seen)  # type: ignore[arg-type]  # a tuple's str
        assert all(bool(holds(query)) is wanted for query in seen)


def test_rotate_starts_with_any_server() -> None:
    zone = {"web.ns.svc.k": "10.0.0.9"}
    text = f"{TWO}options rotate\n"
    firsts = [look_up("glibc", "web", zone, text, zone, seed=seed).asked[0].split()[0] for seed in range(8)]
    assert {"server", "host"} == set(firsts)


def test_limits_of_options() -> None:
    text = "options timeout:99 attempts:99 ndots:99 rotate\nsearch a\nsearch b c\n"
    glibc, musl = read_configuration(text), read_configuration(text, "musl")
    assert (glibc.timeout, glibc.attempts, glibc.ndots, glibc.flags) == (30, 5, 15, ("rotate",))
    assert (musl.timeout, musl.attempts, musl.ndots, musl.flags) == (60, 10, 15, ())
    assert glibc.search == musl.search == ("b", "c")
    long = f"search {'a' * 300}\nnameserver {SERVER}\n"
    assert len(read_configuration(long).search) == 1 and read_configuration(long, "musl").search == ()
