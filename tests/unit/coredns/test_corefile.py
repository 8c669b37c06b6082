"""Corefiles: what is read, and what is refused with plugin, file, line and reason."""

import pytest
from tests.unit.coredns.conftest import MakeDns

from podwire.services.coredns.core.corefile import CorefileError, parse
from podwire.services.coredns.core.endpoints import Endpoints
from podwire.services.coredns.core.servers import wanted_files

KUBEADM = """
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""


def test_kubeadms_corefile(make_dns: MakeDns) -> None:
    (server,) = make_dns(KUBEADM, **{"_etc_resolv.conf": "nameserver 172.18.0.1\n"}).servers
    assert list(server.plugins) == ["errors", "loadbalance", "cache", "kubernetes", "loop", "forward"]
    assert server.endpoints == Endpoints(8080, 5.0, 8181, 9153, 30.0, 15.0)


def test_files_that_are_read(make_dns: MakeDns) -> None:
    text = ".:53 {\n hosts\n forward . /etc/resolv.conf 192.0.2.1\n autopath /my/resolv.conf\n}"
    assert wanted_files(parse(text)) == ["/etc/hosts", "/etc/resolv.conf", "/my/resolv.conf"]


def test_environment_variables_quotes_and_comments() -> None:
    (block,) = parse('.:{$PORT} { # a comment\n log "a b" `c d` {%NAME%}\n}', {"PORT": "5353", "NAME": "x"})
    assert block.port == 5353
    assert block.directives[0].arguments == ("a b", "c d", "x")


def one(*lines: str) -> str:
    return ".:53 {\n" + "\n".join(lines) + "\n}"


def kubernetes(option: str) -> str:
    return one("kubernetes cluster.local {", option, "}")


def within(directive: str, *options: str) -> str:
    return one(f"{directive} {{", *options, "}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "/etc/coredns/Corefile:1 - Error during parsing: no server block"),
        (".:53", "expected '{' after"),
        (".:53 {", "unexpected end of file, '}' is missing"),
        (".:99999 {\n}", "invalid port in '.:99999'"),
        ("tls://.:853 {\n}", "tls is not built"),
        (".:53 a:54 {\n}", "one port a server block"),
        (".:53 {\n}\n.:53 {\n}", "cannot serve dns://.:53 - it is already defined"),
        (one("nonsense"), "/etc/coredns/Corefile:2 - Error during parsing: Unknown directive 'nonsense'"),
        (one("import nothing"), "no snippet 'nothing'"),
        ("(a) {\nimport a\n}\n" + one("import a"), "without end"),
        (one('errors "'), "/etc/coredns/Corefile:2 - Error during parsing: No closing quotation"),
        (one("kubernetes cluster.local", "kubernetes cluster.local"), "can only be used once per Server Block"),
        (one("kubernetes in-addr.arpa"), "plugin/kubernetes: .* non-reverse zone name must be used"),
        (kubernetes("ttl 99999"), "ttl must be in range"),
        (kubernetes("pods maybe"), "wrong value for pods: maybe,  must be one of: disabled, verified, insecure"),
        (kubernetes("wrong x"), "unknown property 'wrong'"),
        (kubernetes("kubeconfig /x"), "property 'kubeconfig' is not built"),
        (kubernetes("ignore me"), "unable to parse ignore value: 'me'"),
        (one("forward ."), "Wrong argument count"),
        (one("forward . nowhere"), 'not an IP address or file: "nowhere"'),
        (one("forward . tls://1.1.1.1"), "'tls' is not built"),
        (one("forward . /nothing"), "open /nothing: no such file"),
        (within("forward . 1.1.1.1", "policy best"), "unknown policy 'best'"),
        (within("forward . 1.1.1.1", "max_concurrent -1"), "a number from 0 is needed"),
        (within("forward . 1.1.1.1", "health_check soon"), "a duration such as 0.5s"),
        (within("cache", "success many"), "cache capacity can not be zero or negative: many"),
        (within("cache", "prefetch 1 1m 95%"), r"percentage should fall in range \[10, 90\]"),
        (within("cache", "servfail 10m"), "over 5 minutes is not permitted"),
        (within("health", "lameduck soon"), 'invalid duration "soon"'),
        (one("health :99999"), "invalid address"),
        (one("reload 1s"), "greater or equal to 2s"),
        (within("log", "class strange"), "invalid property 'class strange'"),
        (
            one("rewrite edns0 local set 0xffee {server_ip}"),
            "unsupported variable name '{server_ip}': {qname}",
        ),
        (one("rewrite edns0 local put 0xffee 0x61"), "invalid action: 'put': set, append or replace"),
        (one("rewrite edns0 local set 65536 a"), "edns0: '65536' is no number from 0 to 65535"),
        (one("rewrite edns0 subnet set 33 56"), "edns0: '33' is no number from 0 to 32"),
        (one("rewrite edns0 nsid set now"), "EDNS0 NSID rules do not accept args: 'now'"),
        (one("rewrite class IN XX"), "invalid class 'XX': IN, CH, HS or ANY"),
        (one("rewrite rcode example.com NXDOMAIN 24"), "invalid RCODE '24' for a rcode rule"),
        (one("rewrite cname example.com"), "cname 'example.com': "),
        (kubernetes("labels -x"), "unable to parse label selector value: '-x': '-x' is no term"),
        (one("rewrite name regex ( b"), "invalid regex pattern"),
        (one("rewrite type A"), "Wrong argument count"),
        (within("template IN A", "match ("), "could not parse regex"),
        (within("template IN A", 'answer "{{ .Remote }}"'), "template action '.Remote' is not built"),
        (within("template IN NONSENSE", "rcode NXDOMAIN"), "invalid RR class or type"),
        (one("autopath @kubernetes"), "needs the kubernetes plugin with 'pods verified'"),
        (one("autopath @erratic"), "plugin erratic does not provide AutoPath"),
        (one("loadbalance weighted file"), "only round_robin is"),
        (within("hosts", "nonsense"), "unknown property 'nonsense'"),
    ],
)
def test_what_is_refused(make_dns: MakeDns, text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        make_dns(text)
