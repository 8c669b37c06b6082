"""plugin/kubernetes beyond the specification: what CoreDNS does, and what the options of its block change."""

import dns.rcode
import dns.rdatatype
import pytest
from tests.unit.coredns.conftest import Dns, MakeDns, add_namespace, add_pod, add_service, add_slice, key, texts

from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.corefile import CorefileError

PORTS = [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]


def block(*options: str, plugins: str = "") -> str:
    lines = "\n".join(f"    {option}" for option in options)
    return f".:53 {{\n  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n{lines}\n  }}\n  {plugins}\n}}"


@pytest.fixture(autouse=True)
def _objects(cluster: Cluster) -> None:
    add_service(cluster, "my-api", clusterIP="10.96.45.123", ports=PORTS)
    add_service(cluster, "idle", clusterIP="10.96.45.124", ports=PORTS)
    add_service(cluster, "kube-dns", "kube-system", clusterIP="10.96.0.10", ports=PORTS)
    add_slice(cluster, "kube-dns", {"addresses": ["10.244.0.2"]}, namespace="kube-system")
    add_service(cluster, "ports", clusterIP="None")
    target = {"kind": "Pod", "name": "my-api-1"}
    add_slice(cluster, "my-api", {"addresses": ["10.244.1.5"], "targetRef": target})
    add_slice(cluster, "ports", {"addresses": ["10.244.1.6"]}, ports=[])
    add_pod(cluster, "my-api-1", "10.244.1.5")


def test_case_of_names_does_not_matter_and_the_question_keeps_its_own(make_dns: MakeDns) -> None:
    answer = make_dns(block()).ask("MY-API.Default.svc.cluster.local")
    assert texts(answer) == ["my-api.default.svc.cluster.local. A 10.96.45.123"]
    assert answer.question[0].name.to_text() == "MY-API.Default.svc.cluster.local."


def test_srv_of_the_service_itself_has_every_port(make_dns: MakeDns) -> None:
    name = "my-api.default.svc.cluster.local."
    answer = make_dns(block()).ask(name, "SRV")
    assert texts(answer) == [f"{name} SRV 0 50 80 {name}", f"{name} SRV 0 50 9090 {name}"]


def test_endpoints_without_ports_have_addresses_and_no_srv(make_dns: MakeDns) -> None:
    made = make_dns(block())
    assert texts(made.ask("ports.default.svc.cluster.local")) == ["ports.default.svc.cluster.local. A 10.244.1.6"]
    assert made.ask("ports.default.svc.cluster.local", "SRV").answer == []


def test_endpoints_of_a_service_with_a_cluster_ip_have_names_too(make_dns: MakeDns) -> None:
    name = "10-244-1-5.my-api.default.svc.cluster.local."
    assert texts(make_dns(block()).ask(name)) == [f"{name} A 10.244.1.5"]


def test_the_zones_server_is_the_service_in_front_of_it(make_dns: MakeDns) -> None:
    answer = make_dns(block()).ask("cluster.local", "NS")
    assert texts(answer) == ["cluster.local. NS kube-dns.kube-system.svc.cluster.local."]
    assert texts(answer, "additional") == ["kube-dns.kube-system.svc.cluster.local. A 10.96.0.10"]
    assert texts(make_dns(block()).ask("ns.dns.cluster.local")) == ["ns.dns.cluster.local. A 10.96.0.10"]


def test_soa(make_dns: MakeDns) -> None:
    soa = "cluster.local. SOA ns.dns.cluster.local. hostmaster.cluster.local. 42 7200 1800 86400 5"
    assert texts(make_dns(block()).ask("cluster.local", "SOA")) == [soa]


@pytest.mark.parametrize(
    ("mode", "name", "rcode"),
    [
        ("disabled", "10-244-1-5.default", dns.rcode.NXDOMAIN),
        ("insecure", "10-244-1-5.default", dns.rcode.NOERROR),
        ("insecure", "192-0-2-1.default", dns.rcode.NOERROR),
        ("insecure", "10-244-1-5.nowhere", dns.rcode.NXDOMAIN),
        ("insecure", "my-api-1.default", dns.rcode.NXDOMAIN),
        ("verified", "10-244-1-5.default", dns.rcode.NOERROR),
        ("verified", "10-244-1-5.kube-system", dns.rcode.NXDOMAIN),
        ("verified", "192-0-2-1.default", dns.rcode.NXDOMAIN),
    ],
)
def test_pod_records_by_mode(make_dns: MakeDns, mode: str, name: str, rcode: int) -> None:
    answer = make_dns(block(f"pods {mode}")).ask(f"{name}.pod.cluster.local")
    assert answer.rcode() == rcode
    expected = [name.partition(".")[0].replace("-", ".")] if rcode == dns.rcode.NOERROR else []
    assert [rdata.address for rrset in answer.answer for rdata in rrset] == expected


@pytest.mark.parametrize(
    ("option", "name", "rcode"),
    [
        ("endpoint_pod_names", "my-api-1.my-api.default.svc", dns.rcode.NOERROR),
        ("endpoint_pod_names", "10-244-1-5.my-api.default.svc", dns.rcode.NXDOMAIN),
        ("noendpoints", "10-244-1-5.my-api.default.svc", dns.rcode.NXDOMAIN),
        ("noendpoints", "ports.default.svc", dns.rcode.NXDOMAIN),
        ("noendpoints", "my-api.default.svc", dns.rcode.NOERROR),
        ("ignore empty_service", "idle.default.svc", dns.rcode.NXDOMAIN),
        ("ignore empty_service", "my-api.default.svc", dns.rcode.NOERROR),
        ("namespaces kube-system", "my-api.default.svc", dns.rcode.NXDOMAIN),
        ("namespaces kube-system", "kube-dns.kube-system.svc", dns.rcode.NOERROR),
    ],
)
def test_options(make_dns: MakeDns, option: str, name: str, rcode: int) -> None:
    assert make_dns(block(option)).ask(f"{name}.cluster.local").rcode() == rcode


def test_fallthrough_asks_the_next_plugin_for_names_that_are_not_there(make_dns: MakeDns) -> None:
    """whoami answers whatever reaches it."""
    made = make_dns(block("fallthrough in-addr.arpa", plugins="whoami"))
    assert made.ask("9.9.9.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NOERROR
    assert made.ask("nothing.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN


def test_an_alias_within_the_cluster_is_followed(cluster: Cluster, make_dns: MakeDns) -> None:
    add_service(cluster, "alias", type="ExternalName", externalName="my-api.default.svc.cluster.local")
    assert texts(make_dns(block()).ask("alias.default.svc.cluster.local")) == [
        "alias.default.svc.cluster.local. CNAME my-api.default.svc.cluster.local.",
        "my-api.default.svc.cluster.local. A 10.96.45.123",
    ]


def test_aliases_that_go_round_in_circles_end(cluster: Cluster, make_dns: MakeDns) -> None:
    add_service(cluster, "a", type="ExternalName", externalName="b.default.svc.cluster.local")
    add_service(cluster, "b", type="ExternalName", externalName="a.default.svc.cluster.local")
    assert make_dns(block()).ask("a.default.svc.cluster.local").rcode() == dns.rcode.NOERROR


def test_an_alias_to_the_outside_is_resolved_by_the_server_that_forwards(cluster: Cluster, make_dns: MakeDns) -> None:
    add_service(cluster, "outside", type="ExternalName", externalName="www.example.com")
    made = make_dns(block(plugins="forward . 192.0.2.53"))

    def upstream(ask: object) -> dns.message.Message:
        response = dns.message.make_response(made.asked[-1].message)
        response.answer.append(dns.rrset.from_text("www.example.com.", 60, "IN", "A", "93.184.216.34"))
        return response

    made.upstream = upstream
    assert texts(made.ask("outside.default.svc.cluster.local")) == [
        "outside.default.svc.cluster.local. CNAME www.example.com.",
        "www.example.com. A 93.184.216.34",
    ]


def test_before_the_first_lists_nothing_is_denied(cluster: Cluster, make_dns: MakeDns) -> None:
    cluster.synced = False
    made = make_dns(block())
    assert made.ask("nothing.default.svc.cluster.local").rcode() == dns.rcode.SERVFAIL
    assert made.ask("my-api.default.svc.cluster.local").rcode() == dns.rcode.NOERROR


def test_a_name_of_another_zone_has_no_next_plugin(make_dns: MakeDns) -> None:
    made = make_dns(block(plugins="errors"))
    assert made.ask("example.com").rcode() == dns.rcode.SERVFAIL
    assert made.said == ["[ERROR] plugin/errors: 2 example.com. A: plugin/kubernetes: no next plugin found"]


def test_what_is_gone_is_gone_from_every_index(cluster: Cluster, make_dns: MakeDns) -> None:
    made: Dns = make_dns(block("pods verified"))
    for put in (cluster.set_service, cluster.set_slice, cluster.set_pod):
        for name in ("my-api", "my-api-1"):
            put(key(name), None)
    assert made.ask("my-api.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN
    assert made.ask("123.45.96.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NXDOMAIN
    assert made.ask("10-244-1-5.default.pod.cluster.local").rcode() == dns.rcode.NXDOMAIN
    assert list(cluster.services_behind("10.244.1.5")) == []


def test_labels_choose_which_services_have_names(cluster: Cluster, make_dns: MakeDns) -> None:
    ports = [{"port": 80}]
    add_service(cluster, "shown", labels={"tier": "web"}, clusterIP="10.96.0.7", ports=ports)
    add_service(cluster, "hidden", labels={"tier": "db"}, clusterIP="10.96.0.8", ports=ports)
    made = make_dns(block("labels tier in (web, api),!legacy"))
    assert texts(made.ask("shown.default.svc.cluster.local")) == ["shown.default.svc.cluster.local. A 10.96.0.7"]
    assert made.ask("hidden.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN
    assert made.ask("8.0.96.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NXDOMAIN


def test_namespace_labels_choose_which_namespaces_have_names(cluster: Cluster, make_dns: MakeDns) -> None:
    add_namespace(cluster, "prod", {"env": "prod"})
    for namespace in ("prod", "default"):
        add_service(cluster, "web", namespace, clusterIP="10.96.0.7", ports=[{"port": 80}])
    made = make_dns(block("namespace_labels env=prod"))
    assert texts(made.ask("web.prod.svc.cluster.local")) == ["web.prod.svc.cluster.local. A 10.96.0.7"]
    assert made.ask("web.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN
    with pytest.raises(CorefileError, match="namespaces and namespace_labels cannot both be set"):
        make_dns(block("namespace_labels env=prod", "namespaces prod"))
