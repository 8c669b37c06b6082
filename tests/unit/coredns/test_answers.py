"""CoreDNS's answers: the names of the Kubernetes DNS specification 1.1, and what malformed queries get."""

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.messages import codec
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.chance import RandomStream
from podwire.services.coredns.core.answers import Zones, answer, answer_bytes
from podwire.services.coredns.core.records import build

ZONE = "cluster.local."


def key(name: str) -> ObjectKey:
    return ObjectKey("", "x", "default", name)


def service(name: str, **spec: object) -> tuple[ObjectKey, Service]:
    value = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return key(name), codec.decode(Service, codec.encode(value))


def endpoint_slice(name: str, *endpoints: dict[str, object]) -> tuple[ObjectKey, EndpointSlice]:
    labels = {"kubernetes.io/service-name": name}
    value = {
        "metadata": {"name": f"{name}-1", "namespace": "default", "labels": labels},
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": list(endpoints),
    }
    return key(name), codec.decode(EndpointSlice, codec.encode(value))


PORTS = [{"name": "http", "port": 80}]
RECORDS = build(
    ZONE,
    dict(
        [
            service("my-api", clusterIP="10.96.45.123", ports=PORTS),
            service("db", clusterIP="None", ports=PORTS),
            service("empty", clusterIP="None"),
            service("outside", type="ExternalName", externalName="db.example.com"),
            service("alias", type="ExternalName", externalName="my-api.default.svc.cluster.local"),
        ]
    ),
    dict(
        [
            endpoint_slice(
                "db",
                {"addresses": ["10.244.1.5"], "hostname": "db-0"},
                {"addresses": ["10.244.2.3"]},
                {"addresses": ["10.244.2.9"], "conditions": {"ready": False}},
            )
        ]
    ),
)
ZONES = Zones(records=RECORDS, ttl=30, pods="insecure")


def ask(name: str, kind: str = "A", zones: Zones = ZONES) -> dns.message.Message:
    return answer(zones, dns.message.make_query(name, kind), RandomStream(1))


def texts(response: dns.message.Message) -> list[str]:
    return sorted(
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in response.answer for rdata in rrset
    )


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("my-api.default.svc.cluster.local.", "A", ["my-api.default.svc.cluster.local. A 10.96.45.123"]),
        ("MY-API.Default.svc.cluster.local.", "A", ["my-api.default.svc.cluster.local. A 10.96.45.123"]),
        (
            "_http._tcp.my-api.default.svc.cluster.local.",
            "SRV",
            ["_http._tcp.my-api.default.svc.cluster.local. SRV 0 100 80 my-api.default.svc.cluster.local."],
        ),
        ("123.45.96.10.in-addr.arpa.", "PTR", ["123.45.96.10.in-addr.arpa. PTR my-api.default.svc.cluster.local."]),
        (
            "db.default.svc.cluster.local.",
            "A",
            ["db.default.svc.cluster.local. A 10.244.1.5", "db.default.svc.cluster.local. A 10.244.2.3"],
        ),
        ("db-0.db.default.svc.cluster.local.", "A", ["db-0.db.default.svc.cluster.local. A 10.244.1.5"]),
        ("10-244-2-3.db.default.svc.cluster.local.", "A", ["10-244-2-3.db.default.svc.cluster.local. A 10.244.2.3"]),
        ("5.1.244.10.in-addr.arpa.", "PTR", ["5.1.244.10.in-addr.arpa. PTR db-0.db.default.svc.cluster.local."]),
        ("outside.default.svc.cluster.local.", "A", ["outside.default.svc.cluster.local. CNAME db.example.com."]),
        (
            "alias.default.svc.cluster.local.",
            "A",
            [
                "alias.default.svc.cluster.local. CNAME my-api.default.svc.cluster.local.",
                "my-api.default.svc.cluster.local. A 10.96.45.123",
            ],
        ),
        ("10-244-1-5.default.pod.cluster.local.", "A", ["10-244-1-5.default.pod.cluster.local. A 10.244.1.5"]),
        ("dns-version.cluster.local.", "TXT", ['dns-version.cluster.local. TXT "1.1.0"']),
        ("cluster.local.", "NS", ["cluster.local. NS ns.dns.cluster.local."]),
    ],
)
def test_records(name: str, kind: str, expected: list[str]) -> None:
    response = ask(name, kind)
    assert (response.rcode(), texts(response)) == (dns.rcode.NOERROR, expected)


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("nothing.default.svc.cluster.local.", "A", dns.rcode.NXDOMAIN),
        ("my-api.cluster.local.", "A", dns.rcode.NXDOMAIN),
        ("empty.default.svc.cluster.local.", "A", dns.rcode.NXDOMAIN),
        ("10-244-2-9.db.default.svc.cluster.local.", "A", dns.rcode.NXDOMAIN),
        ("my-api.default.svc.cluster.local.", "AAAA", dns.rcode.NOERROR),
        ("default.svc.cluster.local.", "A", dns.rcode.NOERROR),
        ("example.com.", "A", dns.rcode.REFUSED),
    ],
)
def test_names_without_an_answer(name: str, kind: str, rcode: int) -> None:
    response = ask(name, kind)
    assert (response.rcode(), response.answer) == (rcode, [])
    assert [rrset.rdtype for rrset in response.authority] == ([] if rcode == dns.rcode.REFUSED else [dns.rdatatype.SOA])


def test_before_the_first_lists_nothing_is_denied() -> None:
    zones = Zones(records=RECORDS, synced=False)
    assert ask("nothing.default.svc.cluster.local.", zones=zones).rcode() == dns.rcode.SERVFAIL


def test_an_answer_too_large_for_udp_is_truncated() -> None:
    addresses = [{"addresses": [f"10.244.{n}.1"]} for n in range(60)]
    zones = Zones(
        records=build(ZONE, dict([service("db", clusterIP="None")]), dict([endpoint_slice("db", *addresses)]))
    )
    query = dns.message.make_query("db.default.svc.cluster.local.", "A").to_wire()
    over_udp, over_tcp = (answer_bytes(zones, query, RandomStream(1), udp) for udp in (True, False))
    assert over_udp is not None and over_tcp is not None
    assert dns.message.from_wire(over_udp).flags & dns.flags.TC
    assert len(dns.message.from_wire(over_tcp).answer[0]) == 60


@given(st.binary(max_size=200))
def test_foreign_bytes_get_a_format_error_or_silence(payload: bytes) -> None:
    reply = answer_bytes(ZONES, payload, RandomStream(1), True)
    if reply is not None:
        assert reply[:2] == payload[:2]
        assert reply[2] & 0x80
