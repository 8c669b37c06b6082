"""The networks of a cluster by `--ip-family`, and the manifests and settings that follow from them."""

import json
from typing import Any

import pytest

from podwire.proto.packet.addresses import mac_of
from podwire.scripts.cluster.addressing import ADDRESSING, AddressingError, addressing
from podwire.scripts.cluster.credentials import addresses
from podwire.scripts.cluster.layout import layout
from podwire.scripts.cluster.manifests import load_manifests
from podwire.scripts.cluster.start import MANIFESTS

V4 = {"machine": "172.18.0.3/16", "pods": "10.244.0.0/16", "services": "10.96.0.0/16", "api": "10.96.0.1"}
V6 = {
    "machine": "fc00:f853:ccd:e793::3/64",
    "pods": "fd00:10:244::/56",
    "services": "fd00:10:96::/112",
    "api": "fd00:10:96::1",
}
FAMILIES = pytest.mark.parametrize(
    ("ip_family", "ranges", "dns"),
    [("ipv4", [V4], "10.96.0.10"), ("dual", [V4, V6], "10.96.0.10"), ("ipv6", [V6], "fd00:10:96::a")],
)


@FAMILIES
def test_networks(ip_family: str, ranges: list[dict[str, str]], dns: str) -> None:
    made = addressing(ip_family)
    assert made.machine(3) == tuple(each["machine"] for each in ranges)
    assert made.pods.split(",") == [each["pods"] for each in ranges]
    assert made.services.split(",") == [each["services"] for each in ranges]
    assert made.api == tuple(each["api"] for each in ranges)
    assert made.dns == dns


@FAMILIES
def test_settings_of_the_processes(ip_family: str, ranges: list[dict[str, str]], dns: str) -> None:
    plan = {each.place: each.settings for each in layout(1, "", {}, {}, addressing=addressing(ip_family)).processes}
    assert plan["apiserver@control-plane"]["service_cluster_ip_range"] == ",".join(each["services"] for each in ranges)
    assert plan["controllers@control-plane"]["cluster_cidr"] == ",".join(each["pods"] for each in ranges)
    assert plan["kubelet@node-1"]["cluster_dns"] == dns
    assert plan["node@node-1"]["address"] == ",".join(each["machine"] for each in ranges)
    assert len(plan["node@node-1"]["gateway"].split(",")) == len(ranges)


@FAMILIES
def test_the_api_servers_certificate_is_good_for_its_addresses(
    ip_family: str, ranges: list[dict[str, str]], dns: str
) -> None:
    named = addresses(addressing(ip_family))
    assert named == ["127.0.0.1", *(each["api"] for each in ranges), *_control_planes(ranges)]


def _control_planes(ranges: list[dict[str, str]]) -> list[str]:
    return [each["machine"].partition("/")[0][:-1] + "2" for each in ranges]


@pytest.mark.parametrize("given", ["", "IPv4", "dual-stack", "v6"])
def test_a_family_that_there_is_not_is_refused_by_name(given: str) -> None:
    with pytest.raises(AddressingError, match=f"--ip-family {given}: ipv4, dual or ipv6 is needed"):
        addressing(given)


def manifest(ip_family: str, kind: str, name: str) -> dict[str, Any]:
    bodies = [body for _, body in load_manifests(MANIFESTS, ADDRESSING[ip_family])]
    [found] = [body for body in bodies if (body["kind"], body["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize(
    ("ip_family", "network"),
    [
        ("ipv4", {"Network": "10.244.0.0/16"}),
        (
            "dual",
            {"EnableIPv4": True, "EnableIPv6": True, "Network": "10.244.0.0/16", "IPv6Network": "fd00:10:244::/56"},
        ),
        ("ipv6", {"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00:10:244::/56"}),
    ],
)
def test_flannels_configuration(ip_family: str, network: dict[str, Any]) -> None:
    text = manifest(ip_family, "ConfigMap", "kube-flannel-cfg")["data"]["net-conf.json"]
    assert json.loads(text) == network | {"Backend": {"Type": "vxlan"}}


@FAMILIES
def test_kube_proxys_configuration_and_the_dns_service(ip_family: str, ranges: list[dict[str, str]], dns: str) -> None:
    text = manifest(ip_family, "ConfigMap", "kube-proxy")["data"]["config.conf"]
    networks = ",".join(each["pods"] for each in ranges)
    assert f"\nclusterCIDR: {networks}\n" in text
    assert manifest(ip_family, "Service", "kube-dns")["spec"]["clusterIP"] == dns


@pytest.mark.parametrize(
    ("address", "mac"),
    [
        ("172.18.0.3/16", "02:42:ac:12:00:03"),
        ("172.18.0.3", "02:42:ac:12:00:03"),
        ("fc00:f853:ccd:e793::3/64", "02:42:00:00:00:03"),
    ],
)
def test_macs_follow_from_addresses(address: str, mac: str) -> None:
    assert mac_of(address) == mac
