"""Corefiles: what is served, and what is refused with file, line and reason."""

import pytest

from podwire.services.coredns.core.configuration import read
from podwire.services.coredns.core.corefile import CorefileError

GOOD = """
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       ttl 30
    }
    cache 30
    loadbalance
}
"""


def test_a_usual_corefile() -> None:
    configuration = read(GOOD)
    assert (configuration.port, configuration.zone, configuration.ttl) == (53, "cluster.local.", 30)
    assert configuration.reverse == ("in-addr.arpa.", "ip6.arpa.")
    assert configuration.without_effect == ("errors", "cache", "health lameduck")
    assert (configuration.pods, configuration.health_port, configuration.ready_port) == ("insecure", 8080, 8181)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no server block"),
        (".:53", "expected '{'"),
        (".:53 {", "unexpected end of file"),
        (".:99999 {\n}", "invalid port"),
        (".:53 {\n  nonsense\n}", "Corefile:2 - Error during parsing: Unknown directive 'nonsense'"),
        (".:53 {\n  errors\n}", "no kubernetes plugin"),
        (".:53 {\n  kubernetes cluster.local {\n    ttl 99999\n  }\n}", "ttl must be in range"),
        (".:53 {\n  kubernetes cluster.local {\n    pods maybe\n  }\n}", "pods must be one of"),
        (".:53 {\n  kubernetes cluster.local {\n    wrong x\n  }\n}", "unknown property 'wrong'"),
        ('.:53 {\n  errors "\n}', "Corefile:2"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message.replace("{", r"\{")):
        read(text)
