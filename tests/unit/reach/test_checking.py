"""What rules say must be looked at."""

from podwire.scripts.reach.checking import scope
from podwire.scripts.reach.expectation import parse_rules
from podwire.scripts.reach.survey import Asked

KNOWN = ["default", "kube-system", "prod-a", "prod-b"]


def of(text: str) -> Asked:
    return scope(parse_rules(text), KNOWN, 2.0)


def test_namespaces_are_those_that_rules_name() -> None:
    assert of('- {from: "prod-*/web", to: svc/default/api, allowed: true}').namespaces == (
        "default",
        "prod-a",
        "prod-b",
    )
    assert of('- {from: "*", to: "*", allowed: true}').namespaces == ("default",)
    assert of('- {from: "*/*", allowed: true}').namespaces == tuple(KNOWN)


def test_services_machines_and_the_outside_are_probed_where_rules_name_them() -> None:
    plain = of("- {from: default/a, to: default/b, allowed: true}")
    assert (plain.services, plain.nodes, plain.external, plain.timeout) == (False, False, False, 2.0)
    assert of("- {from: default/a, to: svc/default/b, allowed: true}").services
    assert of("- {from: node-1, to: default/b, allowed: true}").nodes
    assert of("- {from: external, to: default/b, allowed: true}").external


def test_ports_of_machines_are_those_of_the_rules_about_them() -> None:
    text = """
- {from: default/a, to: node-1, port: 10250, allowed: false}
- {from: default/a, to: external, port: 53, protocol: udp, allowed: true}
- {from: default/a, to: default/b, port: 80, allowed: true}
"""
    assert of(text).machine_ports == (10250, 53)
