"""Which server a query is for, what is refused before a plugin sees it, what is cut, and foreign bytes."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.coredns.conftest import Dns, MakeDns, add_service, add_slice

from podwire.services.chassis import dns_wire as wire
from podwire.services.chassis.chance import RandomStream
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.servers import serve

TWO = """
(common) {
    errors
    log
}
example.com:53 {
    import common
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
sub.example.com example.org:53 {
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.2"
    }
}
.:5353 {
    whoami
}
"""


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [
        ("www.example.com", 53, ["192.0.2.1"]),
        ("www.sub.example.com", 53, ["192.0.2.2"]),
        ("example.org", 53, ["192.0.2.2"]),
        ("example.net", 53, dns.rcode.REFUSED),
        ("example.net", 5353, []),
    ],
)
def test_the_longest_zone_serves(make_dns: MakeDns, name: str, port: int, expected: object) -> None:
    answer = make_dns(TWO).ask(name, port=port)
    found = [rdata.address for rrset in answer.answer for rdata in rrset]
    assert (answer.rcode() if answer.rcode() else found) == expected


def test_snippets_are_put_in(make_dns: MakeDns) -> None:
    made = make_dns(TWO)
    made.ask("www.example.com")
    assert len(made.said) == 1


@pytest.mark.parametrize(
    ("payload", "rcode"),
    [
        (b"", None),
        (b"\x00\x01\x80\x00" + bytes(8), None),  # a response
        (b"\x00\x01\x28\x00" + bytes(8), dns.rcode.NOTIMP),  # an update
        (b"\x00\x01\x01\x00\x00\x00" + bytes(6), dns.rcode.FORMERR),  # no question
        (b"\x00\x01\x01\x00\x00\x02" + bytes(6), dns.rcode.FORMERR),  # two, it says
        (b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01", dns.rcode.FORMERR),  # a loop
        (b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\x7fa\x00\x00\x01\x00\x01", dns.rcode.FORMERR),  # a long label
    ],
)
def test_malformed_messages(payload: bytes, rcode: int | None) -> None:
    with pytest.raises(wire.Refusal) as refused:
        wire.read(payload)
    answer = refused.value.answer
    assert (answer and answer[3] & 15) == rcode
    assert answer is None or (answer[:2] == payload[:2] and answer[2] & 0x80)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_answered(make_dns: MakeDns, payload: bytes) -> None:
    answer = _answer(make_dns(), payload)
    assert answer is None or answer[:2] == payload[:2]


def _answer(made: Dns, payload: bytes) -> bytes | None:
    try:
        next(serve(made.servers, 53, payload, ("10.244.1.9", 4), True, 0, RandomStream(1)))
    except wire.Refusal as refusal:
        return refusal.answer
    except StopIteration as stopped:
        return wire.write(stopped.value[1], 512)
    return None


def test_other_classes_are_refused_and_other_edns_versions_named(make_dns: MakeDns) -> None:
    made = make_dns()
    chaos = dns.message.make_query("version.bind", "TXT", rdclass="CH")
    assert made.put(chaos).rcode() == dns.rcode.REFUSED
    future = dns.message.make_query("my-api.default.svc.cluster.local", "A")
    future.use_edns(1)
    assert made.put(future).rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize(("limit", "most"), [(512, 29), (1232, 74), (65535, 200)])
def test_an_answer_is_cut_to_the_clients_size(cluster: Cluster, make_dns: MakeDns, limit: int, most: int) -> None:
    add_service(cluster, "db", clusterIP="None")
    add_slice(cluster, "db", *({"addresses": [f"10.244.{number}.1"]} for number in range(200)))
    response = make_dns().ask("db.default.svc.cluster.local")
    data = wire.write(response, limit)
    cut = dns.message.from_wire(data)
    assert len(data) <= limit
    assert sum(len(rrset) for rrset in cut.answer) == most
    assert bool(cut.flags & dns.flags.TC) == (most < 200)


def test_records_keep_their_order_on_the_wire(cluster: Cluster, make_dns: MakeDns) -> None:
    """Only loadbalance changes it; dnspython would."""
    addresses = [f"10.244.{number}.1" for number in range(9)]
    add_service(cluster, "db", clusterIP="None")
    add_slice(cluster, "db", *({"addresses": [address]} for address in addresses))
    response = make_dns().ask("db.default.svc.cluster.local")
    assert [rdata.address for rdata in dns.message.from_wire(wire.write(response, 512)).answer[0]] == addresses
