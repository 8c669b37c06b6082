"""The other plugins, each alone or with the one it needs."""

from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from tests.unit.coredns.conftest import (
    SECOND,
    Dns,
    MakeDns,
    add_namespace,
    add_pod,
    add_service,
    answering,
    corefile,
    key,
    texts,
)

from podwire.proto.kube.chaos import DnsChaos
from podwire.proto.messages import codec
from podwire.services.chassis.chance import RandomStream
from podwire.services.coredns.core.cluster import Cluster
from podwire.services.coredns.core.plugins import dns_chaos
from podwire.services.coredns.core.plugins.cache import Cache
from podwire.services.coredns.core.plugins.forward import Forward
from podwire.services.coredns.core.plugins.loop import Loop
from podwire.services.coredns.core.query import Ask, Query, UpstreamFailure

KUBERNETES = "kubernetes cluster.local {\n    pods verified\n  }"


# -- cache


@pytest.fixture
def cached(make_dns: MakeDns) -> Dns:
    made = make_dns(corefile("cache 30", "forward . 192.0.2.53"))
    made.upstream = answering("www.example.com. 300 IN A 93.184.216.34")
    return made


def test_a_kept_answer_has_less_and_less_time_and_the_limit_of_the_cache(cached: Dns) -> None:
    first = cached.ask("www.example.com")
    cached.now += 10 * SECOND
    second = cached.ask("www.example.com")
    assert [answer.answer[0].ttl for answer in (first, second)] == [30, 20]
    assert len(cached.asked) == 1
    assert second.flags & dns.flags.AA


def test_after_its_time_the_upstream_is_asked_again(cached: Dns) -> None:
    cached.ask("www.example.com")
    cached.now += 31 * SECOND
    cached.ask("www.example.com")
    assert len(cached.asked) == 2


def test_denials_are_kept_by_the_soa(cached: Dns) -> None:
    cached.upstream = answering("example.com. 9 IN SOA ns. admin. 1 2 3 4 9", rcode=dns.rcode.NXDOMAIN)
    for seconds in (0, 8):
        cached.now += seconds * SECOND
        assert cached.ask("nothing.example.com").rcode() == dns.rcode.NXDOMAIN
    assert len(cached.asked) == 1


def test_another_type_is_another_entry(cached: Dns) -> None:
    cached.ask("www.example.com")
    cached.ask("www.example.com", "AAAA")
    assert len(cached.asked) == 2


@pytest.mark.parametrize(("disabled", "asked"), [("success", 2), ("denial", 1)])
def test_disable(make_dns: MakeDns, disabled: str, asked: int) -> None:
    made = make_dns(corefile(f"cache 30 {{\n    disable {disabled} example.com\n  }}", "forward . 192.0.2.53"))
    made.upstream = answering("www.example.com. 300 IN A 93.184.216.34")
    made.ask("www.example.com")
    made.ask("www.example.com")
    assert len(made.asked) == asked


def test_serve_stale_while_the_upstream_is_away(make_dns: MakeDns) -> None:
    made = make_dns(corefile("cache {\n    serve_stale\n  }", "forward . 192.0.2.53"))
    made.upstream = answering("www.example.com. 10 IN A 93.184.216.34")
    made.ask("www.example.com")
    made.now, made.upstream = made.now + 60 * SECOND, None
    stale = made.ask("www.example.com")
    assert texts(stale) == ["www.example.com. A 93.184.216.34"]
    assert stale.answer[0].ttl == 0


def test_a_popular_name_is_asked_for_before_its_time_ends(make_dns: MakeDns) -> None:
    made = make_dns(corefile("cache {\n    prefetch 2 1m 20%\n  }", "forward . 192.0.2.53"))
    made.upstream = answering("www.example.com. 100 IN A 93.184.216.34")
    made.ask("www.example.com")
    for seconds in (50, 35):
        made.now += seconds * SECOND
        made.ask("www.example.com")
    assert len(made.asked) == 2


def test_the_oldest_goes_when_the_cache_is_full(make_dns: MakeDns) -> None:
    made = make_dns(corefile("cache {\n    success 1\n  }", "forward . 192.0.2.53"))
    made.upstream = lambda ask: answering(f"{ask.message.question[0].name} 300 IN A 192.0.2.1")(ask)
    for number in range(1025):
        made.ask(f"name-{number}.example.com")
    plugin = made.plugin("cache")
    assert isinstance(plugin, Cache)
    assert (len(plugin.success.items), plugin.success.evictions) == (1024, 1)


# -- forward


def test_the_next_server_is_asked_when_one_fails_and_it_is_probed(make_dns: MakeDns) -> None:
    made = make_dns(corefile("forward . 192.0.2.1 192.0.2.2 {\n    policy sequential\n  }"))
    good = answering("www.example.com. 300 IN A 93.184.216.34")

    def upstream(ask: Ask) -> dns.message.Message:
        if ask.server[0] == "192.0.2.1":
            raise UpstreamFailure("refused")
        return good(ask)

    made.upstream = upstream
    assert texts(made.ask("www.example.com")) == ["www.example.com. A 93.184.216.34"]
    assert [ask.server[0] for ask in made.asked] == ["192.0.2.1", "192.0.2.2"]
    assert [server.address[0] for server in made.probed] == ["192.0.2.1"]
    made.probed[0].fails = 3
    made.asked.clear()
    made.ask("www.example.com")
    assert [ask.server[0] for ask in made.asked] == ["192.0.2.2"]


def test_nobody_answers_within_five_seconds(make_dns: MakeDns) -> None:
    made = make_dns(corefile("errors", "forward . 192.0.2.1"))
    assert made.ask("www.example.com").rcode() == dns.rcode.SERVFAIL
    assert (len(made.asked), made.now) == (3, 6 * SECOND)
    reason = "read udp 10.244.0.2->192.0.2.1:53: i/o timeout"
    assert made.said == [f"[ERROR] plugin/errors: 2 www.example.com. A: {reason}"]


def test_no_more_than_max_concurrent(make_dns: MakeDns) -> None:
    made = make_dns(corefile("errors", "forward . 192.0.2.1 {\n    max_concurrent 1\n  }"))
    plugin = made.plugin("forward")
    assert isinstance(plugin, Forward)
    plugin.concurrent = 1
    assert made.ask("www.example.com").rcode() == dns.rcode.REFUSED
    assert made.said == ["[ERROR] plugin/errors: 5 www.example.com. A: concurrent queries exceeded maximum 1"]


@pytest.mark.parametrize(
    ("option", "udp", "over_tcp"),
    [("", True, False), ("", False, True), ("force_tcp", True, True), ("prefer_udp", False, False)],
)
def test_the_transport_is_the_clients_unless_it_is_said(
    make_dns: MakeDns, option: str, udp: bool, over_tcp: bool
) -> None:
    made = make_dns(corefile(f"forward . 192.0.2.1 {{\n    {option}\n  }}" if option else "forward . 192.0.2.1"))
    made.upstream = answering()
    made.ask("www.example.com", udp=udp)
    assert made.asked[0].over_tcp == over_tcp


def test_except_and_other_zones_go_on(make_dns: MakeDns) -> None:
    made = make_dns(corefile("forward example.com 192.0.2.1 {\n    except sub.example.com\n  }", "whoami"))
    made.upstream = answering()
    for name, asked in (("www.example.com", 1), ("www.sub.example.com", 1), ("example.org", 1)):
        made.ask(name)
        assert len(made.asked) == asked


def test_servers_of_a_file(make_dns: MakeDns) -> None:
    made = make_dns(corefile("forward . /etc/resolv.conf"), **{"_etc_resolv.conf": "nameserver 172.18.0.1\n"})
    made.upstream = answering()
    made.ask("www.example.com")
    assert made.asked[0].server == ("172.18.0.1", 53)


def test_an_answer_to_another_question_is_a_format_error(make_dns: MakeDns) -> None:
    made = make_dns(corefile("forward . 192.0.2.1"))
    made.upstream = lambda ask: dns.message.make_response(dns.message.make_query("other.example.com", "A", id=7))
    assert made.ask("www.example.com").rcode() == dns.rcode.FORMERR


# -- hosts, rewrite, template, loadbalance, autopath, loop, whoami


def test_hosts_from_a_file_and_from_the_corefile(make_dns: MakeDns) -> None:
    lines = "hosts /my-hosts {\n    192.0.2.7 inline.example.com\n    fallthrough\n  }"
    made = make_dns(
        corefile(lines, "whoami"), **{"_my-hosts": "192.0.2.8 file.example.com alias\nfd00::8 file.example.com"}
    )
    assert texts(made.ask("inline.example.com")) == ["inline.example.com. A 192.0.2.7"]
    assert texts(made.ask("file.example.com")) == ["file.example.com. A 192.0.2.8"]
    assert texts(made.ask("file.example.com", "AAAA")) == ["file.example.com. AAAA fd00::8"]
    assert texts(made.ask("7.2.0.192.in-addr.arpa", "PTR")) == ["7.2.0.192.in-addr.arpa. PTR inline.example.com."]
    assert made.ask("other.example.com").additional != []


def test_hosts_without_fallthrough_fails_for_other_names(make_dns: MakeDns) -> None:
    made = make_dns(corefile("hosts {\n    192.0.2.7 a.example.com\n  }", "whoami"))
    assert made.ask("b.example.com").rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("name a.example.com b.example.com", "b.example.com."),
        ("name exact a.example.com b.example.com", "b.example.com."),
        ("name prefix a. c.", "c.example.com."),
        ("name suffix .example.com .example.org", "a.example.org."),
        ("name substring example sample", "a.sample.com."),
        (r"name regex (.)\.example\.com {1}.svc.example.org", "a.svc.example.org."),
        ("a.example.com b.example.com", "b.example.com."),
        ("name exact x.example.com b.example.com", "a.example.com."),
    ],
)
def test_rewritten_names_and_the_answer_to_the_name_that_was_asked(make_dns: MakeDns, rule: str, asked: str) -> None:
    made = make_dns(corefile(f"rewrite {rule}", "forward . 192.0.2.1"))
    made.upstream = lambda ask: answering(f"{ask.message.question[0].name} 300 IN A 192.0.2.9")(ask)
    answer = made.ask("a.example.com")
    assert made.asked[0].message.question[0].name.to_text() == asked
    assert answer.question[0].name.to_text() == "a.example.com."
    assert texts(answer) == ["a.example.com. A 192.0.2.9"]


def test_rewrite_answer_value_auto(make_dns: MakeDns) -> None:
    made = make_dns(
        corefile("rewrite stop {\n    name suffix .mine.org .example.com answer auto\n  }", "forward . 192.0.2.1")
    )
    made.upstream = answering("a.example.com. 300 IN CNAME b.example.com.", "b.example.com. 300 IN A 192.0.2.9")
    assert texts(made.ask("a.mine.org")) == ["a.mine.org. CNAME b.mine.org.", "b.mine.org. A 192.0.2.9"]


def test_rewrite_continues_and_changes_types_and_ttls(make_dns: MakeDns) -> None:
    rules = (
        "rewrite continue type AAAA A",
        "rewrite continue ttl example.com. 60",
        "rewrite name a.example.com b.example.com",
    )
    made = make_dns(corefile(*rules, "forward . 192.0.2.1"))
    made.upstream = answering("b.example.com. 300 IN A 192.0.2.9")
    made.ask("a.example.com", "AAAA")
    assert made.asked[0].message.question[0].to_text() == "b.example.com. IN A"


def test_template(make_dns: MakeDns) -> None:
    lines = (
        "template IN A example.com {\n"
        '    match "^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)[.]example[.]com[.]$"\n'
        '    answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ index .Match 2 }}"\n'
        "    fallthrough\n  }"
    )
    made = make_dns(corefile(lines, "whoami"))
    assert texts(made.ask("ip-1-2.example.com")) == ["ip-1-2.example.com. A 10.0.1.2"]
    assert made.ask("other.example.com").additional != []
    assert make_dns(corefile(lines.replace("fallthrough", ""))).ask("other.example.com").rcode() == dns.rcode.NXDOMAIN


def test_template_denies(make_dns: MakeDns) -> None:
    made = make_dns(corefile("template ANY AAAA {\n    rcode NXDOMAIN\n  }", "whoami"))
    assert made.ask("a.example.com", "AAAA").rcode() == dns.rcode.NXDOMAIN
    assert made.ask("a.example.com", "A").rcode() == dns.rcode.NOERROR


def test_a_template_that_makes_no_record_is_a_failure(make_dns: MakeDns) -> None:
    made = make_dns(corefile("errors", 'template IN A {\n    answer "{{ .Name }} 60 IN A nonsense"\n  }'))
    assert made.ask("a.example.com").rcode() == dns.rcode.SERVFAIL
    assert "is no record" in made.said[0]


def test_loadbalance_changes_the_order_and_nothing_else(make_dns: MakeDns) -> None:
    made = make_dns(corefile("loadbalance", "forward . 192.0.2.1"))
    addresses = [f"192.0.2.{number}" for number in range(20)]

    def upstream(ask: Ask) -> dns.message.Message:
        response = dns.message.make_response(ask.message)
        response.answer.append(dns.rrset.from_text_list("www.example.com.", 60, "IN", "A", addresses))
        return response

    made.upstream = upstream
    found = [rdata.address for rdata in made.ask("www.example.com").answer[0]]
    assert sorted(found) == sorted(addresses)
    assert found != addresses


def test_autopath_walks_the_pods_search_list(cluster: Cluster, make_dns: MakeDns) -> None:
    add_pod(cluster, "client", "10.244.1.9")
    made = make_dns(corefile("autopath cluster.local @kubernetes", KUBERNETES, "forward . 192.0.2.1"))
    made.upstream = answering("www.example.com. 60 IN A 93.184.216.34")
    name = "www.example.com.default.svc.cluster.local."
    assert texts(made.ask(name)) == ["www.example.com. A 93.184.216.34", f"{name} CNAME www.example.com."]
    assert made.ask(name, client="192.0.2.77").rcode() == dns.rcode.NXDOMAIN


def test_autopath_finds_a_service_of_another_namespace(cluster: Cluster, make_dns: MakeDns) -> None:
    add_pod(cluster, "client", "10.244.1.9")
    add_namespace(cluster, "prod")
    add_service(cluster, "web", "prod", clusterIP="10.96.1.1", ports=[{"port": 80}])
    made = make_dns(corefile("autopath cluster.local @kubernetes", KUBERNETES))
    answer = made.ask("web.prod.default.svc.cluster.local")
    assert texts(answer)[1] == "web.prod.svc.cluster.local. A 10.96.1.1"


def test_loop_is_seen_when_its_name_comes_back(make_dns: MakeDns) -> None:
    made = make_dns(corefile("loop", "forward . 192.0.2.1"))
    plugin = made.plugin("loop")
    assert isinstance(plugin, Loop)
    made.upstream = answering()
    for _ in range(3):
        assert not plugin.found
        made.ask(plugin.name, "HINFO", client="127.0.0.1")
    assert plugin.found
    assert plugin.verdict(53).startswith('[FATAL] plugin/loop: Loop (127.0.0.1:40000 -> :53) detected for zone "."')


def test_whoami(make_dns: MakeDns) -> None:
    answer = make_dns(corefile("whoami")).ask("example.com")
    assert texts(answer, "additional") == ["_udp.example.com. SRV 0 0 40000 .", "example.com. A 10.244.1.9"]


# -- log


def test_the_size_of_a_logged_response_is_that_of_written_out_names(cluster: Cluster, make_dns: MakeDns) -> None:
    """As CoreDNS logs it for this very name."""
    add_service(cluster, "kubernetes", clusterIP="10.96.0.1", ports=[{"port": 443}])
    made = make_dns(corefile("log", KUBERNETES))
    made.ask("kubernetes.default.svc.cluster.local")
    assert made.said[0].split('"')[1:] == [
        "A IN kubernetes.default.svc.cluster.local. udp 54 false 512",
        " NOERROR qr,aa,rd 106 0.000000000s",
    ]


def test_log_lines(make_dns: MakeDns) -> None:
    made = make_dns(corefile("log", "whoami"))
    made.ask("example.com")
    assert made.said == [
        '[INFO] 10.244.1.9:40000 - 7 "A IN example.com. udp 29 false 512" NOERROR qr,aa,rd 91 0.000000000s'
    ]


@pytest.mark.parametrize(("classes", "lines"), [("denial", 1), ("error", 0), ("success", 0), ("all", 1)])
def test_log_classes(make_dns: MakeDns, classes: str, lines: int) -> None:
    made = make_dns(corefile(f"log . {{\n    class {classes}\n  }}", KUBERNETES))
    made.ask("nothing.default.svc.cluster.local")
    assert len(made.said) == lines


def test_log_of_other_names_and_in_another_format(make_dns: MakeDns) -> None:
    made = make_dns(corefile('log example.com "{proto} Request: {name} {type} {>id}"', "whoami"))
    made.ask("www.example.com")
    made.ask("www.example.org")
    assert made.said == ["[INFO] udp Request: www.example.com. A 7"]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("google.com", "google.com.", True),
        ("google.com", "www.google.com.", False),
        ("chaos-mesh.*", "chaos-mesh.org.", True),
        ("github.?om", "github.com.", True),
        ("github.?om", "github.om.", False),
        ("GitHub.com", "github.com.", True),
    ],
)
def test_patterns_of_chaos_experiments(pattern: str, name: str, fits: bool) -> None:
    """As "Simulate DNS Faults" of Chaos Mesh's documentation describes them."""
    value = {"spec": {"action": "error", "patterns": [pattern]}, "status": {"addresses": ["10.244.1.2"]}}
    experiments = {key("x"): codec.decode(DnsChaos, codec.encode(value))}
    message = dns.message.make_query(name, "A", id=1)
    query = Query(message, name, dns.rdatatype.A, ("10.244.1.2", 5000), True, 40, 0, RandomStream(1))
    wrong = dns_chaos.answer(experiments, query)
    assert (wrong is not None and wrong.rcode() == dns.rcode.SERVFAIL) == fits
    assert dns_chaos.answer(experiments, replace(query, client=("10.244.1.3", 5000))) is None
