"""Kubernetes DNS-Based Service Discovery, specification 1.1.0 (kubernetes/dns, docs/specification.md): each test is
named after the section whose "must" it shows."""

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from tests.unit.coredns.conftest import Dns, MakeDns, add_service, add_slice, texts

from podwire.services.coredns.core.cluster import Cluster

PORTS = [{"name": "http", "port": 80}]
BOTH = {"clusterIPs": ["10.96.45.123", "fd00:10:96::7b"]}


@pytest.fixture
def dns_of(cluster: Cluster, make_dns: MakeDns) -> Dns:
    add_service(cluster, "my-api", clusterIP="10.96.45.123", ports=PORTS, **BOTH)
    add_service(cluster, "db", clusterIP="None", ports=PORTS)
    add_service(cluster, "empty", clusterIP="None", ports=PORTS)
    add_service(cluster, "outside", type="ExternalName", externalName="www.example.com")
    add_slice(
        cluster,
        "db",
        {"addresses": ["10.244.1.5"], "hostname": "db-0"},
        {"addresses": ["10.244.2.3"]},
        {"addresses": ["10.244.2.9"], "conditions": {"ready": False}},
    )
    return make_dns()


def test_2_2_schema_version(dns_of: Dns) -> None:
    """There must be a TXT record dns-version.ZONE with the version of the specification."""
    assert texts(dns_of.ask("dns-version.cluster.local", "TXT")) == ['dns-version.cluster.local. TXT "1.1.0"']


def test_2_3_1_a_record_of_a_service_with_clusterip(dns_of: Dns) -> None:
    answer = dns_of.ask("my-api.default.svc.cluster.local")
    assert texts(answer) == ["my-api.default.svc.cluster.local. A 10.96.45.123"]
    assert answer.answer[0].ttl == 30


def test_2_3_1_aaaa_record_of_a_service_with_clusterip(dns_of: Dns) -> None:
    answer = dns_of.ask("my-api.default.svc.cluster.local", "AAAA")
    assert texts(answer) == ["my-api.default.svc.cluster.local. AAAA fd00:10:96::7b"]


def test_2_3_2_srv_record_of_each_named_port(dns_of: Dns) -> None:
    """With a priority, a weight, the port, and the Service's name; the additional section may have its addresses."""
    name = "_http._tcp.my-api.default.svc.cluster.local"
    answer = dns_of.ask(name, "SRV")
    assert texts(answer) == [f"{name}. SRV 0 50 80 my-api.default.svc.cluster.local."]
    assert texts(answer, "additional") == [
        "my-api.default.svc.cluster.local. A 10.96.45.123",
        "my-api.default.svc.cluster.local. AAAA fd00:10:96::7b",
    ]


@pytest.mark.parametrize("name", ["_https._tcp", "_http._udp"])
def test_2_3_2_no_srv_record_of_other_ports(dns_of: Dns, name: str) -> None:
    assert dns_of.ask(f"{name}.my-api.default.svc.cluster.local", "SRV").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("address", ["10.96.45.123", "fd00:10:96::7b"])
def test_2_3_3_ptr_record_of_a_cluster_ip(dns_of: Dns, address: str) -> None:
    name = dns.reversename.from_address(address).to_text()
    assert texts(dns_of.ask(name, "PTR")) == [f"{name} PTR my-api.default.svc.cluster.local."]


def test_2_4_1_a_records_of_a_headless_service_are_those_of_ready_endpoints(dns_of: Dns) -> None:
    answer = dns_of.ask("db.default.svc.cluster.local")
    assert texts(answer) == [f"db.default.svc.cluster.local. A {ip}" for ip in ("10.244.1.5", "10.244.2.3")]


@pytest.mark.parametrize(
    ("name", "address"),
    [("db-0", "10.244.1.5"), ("10-244-2-3", "10.244.2.3")],
)
def test_2_4_1_each_endpoint_has_a_name_and_an_a_record(dns_of: Dns, name: str, address: str) -> None:
    """Its hostname if it has one, else a unique one of the system's."""
    answer = dns_of.ask(f"{name}.db.default.svc.cluster.local")
    assert texts(answer) == [f"{name}.db.default.svc.cluster.local. A {address}"]


def test_2_4_1_no_ready_endpoint_is_nxdomain(dns_of: Dns) -> None:
    assert dns_of.ask("empty.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN


def test_2_4_2_srv_records_of_each_ready_endpoint(dns_of: Dns) -> None:
    name = "_http._tcp.db.default.svc.cluster.local"
    answer = dns_of.ask(name, "SRV")
    assert texts(answer) == [
        f"{name}. SRV 0 50 8080 10-244-2-3.db.default.svc.cluster.local.",
        f"{name}. SRV 0 50 8080 db-0.db.default.svc.cluster.local.",
    ]
    assert "db-0.db.default.svc.cluster.local. A 10.244.1.5" in texts(answer, "additional")


def test_2_4_3_ptr_record_of_an_endpoint_with_a_hostname(dns_of: Dns) -> None:
    name = "5.1.244.10.in-addr.arpa."
    assert texts(dns_of.ask(name, "PTR")) == [f"{name} PTR db-0.db.default.svc.cluster.local."]


def test_2_5_1_cname_of_an_externalname_service(dns_of: Dns) -> None:
    answer = dns_of.ask("outside.default.svc.cluster.local", "CNAME")
    assert texts(answer) == ["outside.default.svc.cluster.local. CNAME www.example.com."]


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("nothing.default.svc.cluster.local", dns.rcode.NXDOMAIN),
        ("my-api.nowhere.svc.cluster.local", dns.rcode.NXDOMAIN),
        ("my-api.cluster.local", dns.rcode.NXDOMAIN),
        ("a.b.c.my-api.default.svc.cluster.local", dns.rcode.NXDOMAIN),
        ("10-244-2-9.db.default.svc.cluster.local", dns.rcode.NXDOMAIN),
        ("4.3.2.1.in-addr.arpa", dns.rcode.NXDOMAIN),
        ("default.svc.cluster.local", dns.rcode.NOERROR),
        ("nowhere.svc.cluster.local", dns.rcode.NXDOMAIN),
        ("svc.cluster.local", dns.rcode.NOERROR),
        ("cluster.local", dns.rcode.NOERROR),
    ],
)
def test_names_without_an_answer_are_denied_with_the_zones_soa(dns_of: Dns, name: str, rcode: int) -> None:
    """RFC 2308: a name that does not exist, and one that has no record of the type."""
    answer = dns_of.ask(name)
    assert (answer.rcode(), answer.answer) == (rcode, [])
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.authority] == ["SOA"]


def test_answers_are_authoritative_and_offer_no_recursion(dns_of: Dns) -> None:
    flags = dns_of.ask("my-api.default.svc.cluster.local").flags
    assert flags & dns.flags.AA and not flags & dns.flags.RA
