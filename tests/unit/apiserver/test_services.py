"""Services: addresses and node ports, and the claims that make them unique."""

from typing import Any

import pytest

from podwire.services.apiserver.core.allocation import abandoned, ip_key, port_key
from podwire.services.apiserver.core.store import Store

SERVICES = "/api/v1/namespaces/default/services"
IPS = "/apis/networking.k8s.io/v1/ipaddresses"
MERGE = "application/merge-patch+json"
SECOND = 1_000_000_000


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    given = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given}


def test_a_service_gets_an_address_and_its_claim(server: Any) -> None:
    spec = server.create(SERVICES, service())["spec"]
    address = spec["clusterIP"]
    assert spec["clusterIPs"] == [address]
    assert address.startswith("10.96.")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["ipFamilies"]) == ("ClusterIP", "None", ["IPv4"])
    claim = server.get(f"{IPS}/{address}")
    assert claim["spec"]["parentRef"] == {"group": "", "resource": "services", "namespace": "default", "name": "s"}


def test_an_address_may_be_asked_for(server: Any) -> None:
    assert server.create(SERVICES, service(clusterIP="10.96.0.10"))["spec"]["clusterIP"] == "10.96.0.10"
    code, status = server.request("POST", SERVICES, service("t", clusterIP="10.96.0.10"))
    assert code == 422
    assert "failed to allocate IP 10.96.0.10: provided IP is already allocated" in status["message"]
    code, status = server.request("POST", SERVICES, service("t", clusterIP="10.9.0.10"))
    assert "is not in the valid range" in status["message"]


def test_an_address_comes_free_with_its_service(server: Any) -> None:
    server.create(SERVICES, service(clusterIP="10.96.0.10"))
    server.request("DELETE", f"{SERVICES}/s")
    assert server.request("GET", f"{IPS}/10.96.0.10")[0] == 404
    server.create(SERVICES, service("t", clusterIP="10.96.0.10"))


def test_the_address_never_changes(server: Any) -> None:
    made = server.create(SERVICES, service())
    kept = server.request("PUT", f"{SERVICES}/s", service(ports=[{"port": 81}]))[1]
    assert kept["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    code, status = server.request("PATCH", f"{SERVICES}/s", {"spec": {"clusterIP": "10.96.7.7"}}, content_type=MERGE)
    assert code == 422
    assert "spec.clusterIPs[0]: Invalid value" in status["message"]
    assert "may not change once set" in status["message"]


def test_headless_and_external_services_have_none(server: Any) -> None:
    assert server.create(SERVICES, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    external = server.create(SERVICES, service("e", type="ExternalName", externalName="example.com"))["spec"]
    assert "clusterIP" not in external
    assert server.get(IPS)["items"] == []


def test_node_ports(server: Any) -> None:
    port = server.create(SERVICES, service(type="NodePort"))["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    assert server.store.get(port_key(port)) is not None
    taken = service("t", type="NodePort", ports=[{"port": 80, "nodePort": port}])
    assert "provided port is already allocated" in server.request("POST", SERVICES, taken)[1]["message"]
    outside = service("t", type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    assert "The range of valid ports is 30000-32767" in server.request("POST", SERVICES, outside)[1]["message"]
    kept = server.request("PUT", f"{SERVICES}/s", service(type="NodePort"))[1]
    assert kept["spec"]["ports"][0]["nodePort"] == port
    server.request("PATCH", f"{SERVICES}/s", {"spec": {"type": "ClusterIP"}}, content_type=MERGE)
    assert "nodePort" not in server.get(f"{SERVICES}/s")["spec"]["ports"][0]
    assert server.store.get(port_key(port)) is None


RULES = [
    ({"ports": []}, "spec.ports: Required value"),
    ({"type": "Sometimes"}, 'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
    ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
    ({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]}, 'spec.ports[1].name: Duplicate value: "a"'),
    ({"ports": [{"port": 1, "protocol": "HTTP"}]}, 'supported values: "SCTP", "TCP", "UDP"'),
    ({"type": "ExternalName"}, "spec.externalName: Required value"),
    ({"type": "NodePort", "clusterIP": "None"}, "may not be set to 'None' for NodePort services"),
    ({"clusterIP": "x"}, "must be a valid IP address"),
    ({"ports": [{"port": 80, "nodePort": 30001}]}, "may not be used when `type` is 'ClusterIP'"),
]


@pytest.mark.parametrize(("spec", "text"), RULES)
def test_rules(server: Any, spec: dict[str, Any], text: str) -> None:
    code, status = server.request("POST", SERVICES, service(**spec))
    assert code == 422
    assert text in status["message"]


def test_a_claim_without_its_service_is_repaired_after_a_minute(server: Any) -> None:
    write = server.decide("POST", SERVICES, service(clusterIP="10.96.0.10"))
    server.append(write.claims[0])
    assert abandoned(server.store, server.now + 60 * SECOND) == []
    assert abandoned(server.store, server.now + 61 * SECOND) == [ip_key("10.96.0.10")]


def test_the_same_service_may_take_up_its_own_abandoned_claim(server: Any) -> None:
    write = server.decide("POST", SERVICES, service(clusterIP="10.96.0.10"))
    server.append(write.claims[0])
    assert server.create(SERVICES, service(clusterIP="10.96.0.10"))["spec"]["clusterIP"] == "10.96.0.10"
    assert abandoned(server.store, server.now + 3600 * SECOND) == []


def test_an_empty_store_has_nothing_to_repair() -> None:
    assert abandoned(Store(), 0) == []
