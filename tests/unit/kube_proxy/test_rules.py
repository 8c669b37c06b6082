"""kube-proxy's rules against upstream's own examples (pkg/proxy/iptables/proxier_test.go, v1.33)."""

from dataclasses import replace

import pytest

from podwire.proto.kube.network import EndpointSlice, Service
from podwire.proto.messages import codec
from podwire.proto.messages.kernel import SysctlWrite
from podwire.proto.subjects import ObjectKey
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.fold import service_ports
from podwire.services.kube_proxy.core.iptables import chains
from podwire.services.kube_proxy.core.iptables.book import full_text
from podwire.services.kube_proxy.core.ipvs.book import IpvsBook
from podwire.services.kube_proxy.core.ports import ServicePortName, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings

AROUND = Surroundings(cluster_cidr="10.0.0.0/8")
SVC1 = ServicePortName("ns1", "svc1", "p80")
REMOTE = Endpoint("10.180.0.1", 80, False, True, True, False)
LOCAL = Endpoint("10.180.2.1", 80, True, True, True, False)
STATE = ServicePortState(name=SVC1, protocol="tcp", cluster_ip="172.30.0.41", port=80, cluster_endpoints=(REMOTE,))


def rules_of(text: str, chain: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def test_chain_names_are_upstreams() -> None:
    assert chains.cluster_policy(SVC1, "tcp") == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert chains.endpoint(SVC1, "tcp", REMOTE) == "KUBE-SEP-SXIVWICOYRO3J4NJ"
    assert chains.external(ServicePortName("ns2", "svc2", "p80"), "tcp") == "KUBE-EXT-GNZBNJ2PO5MGZ6GT"


def test_a_cluster_ip_service() -> None:
    text = full_text([STATE], AROUND)
    assert rules_of(text, "KUBE-SVC-XPGD46QRK7WJZT7O") == [
        '-A KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 cluster IP"'
        " -m tcp -p tcp -d 172.30.0.41 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ",
        '-A KUBE-SVC-XPGD46QRK7WJZT7O -m comment --comment "ns1/svc1:p80 -> 10.180.0.1:80"'
        " -j KUBE-SEP-SXIVWICOYRO3J4NJ",
    ]
    assert rules_of(text, "KUBE-SEP-SXIVWICOYRO3J4NJ") == [
        '-A KUBE-SEP-SXIVWICOYRO3J4NJ -m comment --comment "ns1/svc1:p80" -s 10.180.0.1 -j KUBE-MARK-MASQ',
        '-A KUBE-SEP-SXIVWICOYRO3J4NJ -m comment --comment "ns1/svc1:p80"'
        " -m tcp -p tcp -j DNAT --to-destination 10.180.0.1:80",
    ]
    assert "-j KUBE-NODEPORTS" in rules_of(text, "KUBE-SERVICES")[-1]


@pytest.mark.parametrize(
    ("count", "probabilities"),
    [(1, []), (2, ["0.5000000000"]), (3, ["0.3333333333", "0.5000000000"])],
)
def test_endpoints_share_evenly(count: int, probabilities: list[str]) -> None:
    endpoints = tuple(Endpoint(f"10.180.0.{n}", 80, False, True, True, False) for n in range(1, count + 1))
    text = full_text([replace(STATE, cluster_endpoints=endpoints)], AROUND)
    balanced = rules_of(text, "KUBE-SVC-XPGD46QRK7WJZT7O")[1:]
    assert [line.split("--probability ")[1].split()[0] for line in balanced if "--probability" in line] == probabilities
    assert len(balanced) == count


@pytest.mark.parametrize(
    ("change", "chain", "verdict"),
    [
        ({"cluster_endpoints": ()}, "KUBE-SERVICES", "REJECT"),
        ({"cluster_endpoints": (), "node_port": 30001}, "KUBE-EXTERNAL-SERVICES", "REJECT"),
        ({"internal_local": True, "node_port": 30001}, "KUBE-SERVICES", "DROP"),
        ({"external_local": True, "node_port": 30001}, "KUBE-EXTERNAL-SERVICES", "DROP"),
    ],
)
def test_what_cannot_be_served_is_refused(change: dict[str, object], chain: str, verdict: str) -> None:
    text = full_text([replace(STATE, **change)], AROUND)  # type: ignore[arg-type]
    assert [line.split(" -j ")[1] for line in rules_of(text.split("COMMIT")[0], chain)] == [verdict]


def test_a_local_external_policy_keeps_the_source_of_outside_traffic() -> None:
    state = replace(
        STATE, external_local=True, node_port=30001, cluster_endpoints=(REMOTE, LOCAL), local_endpoints=(LOCAL,)
    )
    external = rules_of(full_text([state], AROUND), chains.external(SVC1, "tcp"))
    assert [line.split(" -j ")[1].split("-")[1] for line in external] == ["SVC", "MARK", "SVC", "SVL"]
    assert all("-s 10.0.0.0/8" in line or "--src-type LOCAL" in line for line in external[:-1])


def test_stale_chains_of_ours_are_deleted_and_others_left() -> None:
    text = full_text([STATE], AROUND, ["KUBE-SVC-OLD", "FLANNEL-POSTRTG", "KUBE-SVC-XPGD46QRK7WJZT7O"])
    assert ":KUBE-SVC-OLD - [0:0]" in text
    assert [line for line in text.splitlines() if line.startswith("-X")] == ["-X KUBE-SVC-OLD"]


def a_service(**spec: object) -> Service:
    value = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": 8080}], **spec},
    }
    return codec.decode(Service, codec.encode(value))


def a_slice(*endpoints: dict[str, object]) -> EndpointSlice:
    value = {
        "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"port": 8080}],
        "endpoints": list(endpoints),
    }
    return codec.decode(EndpointSlice, codec.encode(value))


KEY = ObjectKey("", "services", "default", "web")


@pytest.mark.parametrize(
    ("conditions", "used"),
    [
        ([{"ready": True}, {"ready": False}], ["10.0.0.0:8080"]),
        ([{}, {}], ["10.0.0.0:8080", "10.0.0.1:8080"]),
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": False}], ["10.0.0.0:8080"]),
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": True}], ["10.0.0.1:8080"]),
    ],
)
def test_which_endpoints_get_traffic(conditions: list[dict[str, bool]], used: list[str]) -> None:
    endpoints = [{"addresses": [f"10.0.0.{n}"], "conditions": entry} for n, entry in enumerate(conditions)]
    [state] = service_ports({KEY: a_service()}, {KEY: a_slice(*endpoints)}, "node-1")
    assert [str(entry) for entry in state.cluster_endpoints] == used


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName"}, {"clusterIP": ""}])
def test_services_without_a_virtual_address_are_not_proxied(spec: dict[str, object]) -> None:
    assert service_ports({KEY: a_service(**spec)}, {}, "node-1") == []


@pytest.mark.parametrize("strict", [True, False])
def test_strict_arp_has_the_node_hide_the_addresses_of_the_dummy_device(strict: bool) -> None:
    operations = IpvsBook(replace(AROUND, strict_arp=strict)).full({}, Observed())
    written = {each.key: each.value for each in operations if isinstance(each, SysctlWrite)}
    levels = [written.get(f"net.ipv4.conf.all.{name}") for name in ("arp_ignore", "arp_announce")]
    assert levels == (["1", "2"] if strict else [None, None])
