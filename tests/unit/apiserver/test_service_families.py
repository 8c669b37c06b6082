"""IP families of Services: policies, defaults, what may be asked for, upgrades and downgrades, ServiceCIDRs."""

from typing import Any

import pytest

from podwire.services.apiserver.core.allocation import ip_key

from .conftest import Server
from .test_services import IPS, MERGE, SERVICES, service

CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
RANGES = {
    "4": ("10.96.0.0/16",),
    "6": ("fd00:10:96::/112",),
    "46": ("10.96.0.0/16", "fd00:10:96::/112"),
    "64": ("fd00:10:96::/112", "10.96.0.0/16"),
}
BOTH, HEADLESS = ["IPv4", "IPv6"], {"clusterIP": "None"}
SELECTED = {"selector": {"app": "x"}}


def cluster(ranges: str) -> Server:
    made = Server()
    made.serve_ranges(*RANGES[ranges])
    made.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return made


def prefixes(spec: dict[str, Any]) -> list[str]:
    return ["IPv6" if ":" in address else "IPv4" for address in spec["clusterIPs"] if address != "None"]


@pytest.mark.parametrize(
    ("ranges", "given", "policy", "families"),
    [
        ("4", {}, "SingleStack", ["IPv4"]),
        ("6", {}, "SingleStack", ["IPv6"]),
        ("46", {}, "SingleStack", ["IPv4"]),
        ("64", {}, "SingleStack", ["IPv6"]),
        ("46", {"ipFamilies": ["IPv6"]}, "SingleStack", ["IPv6"]),
        ("46", {"clusterIP": "fd00:10:96::77"}, "SingleStack", ["IPv6"]),
        ("4", {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4"]),
        ("46", {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", BOTH),
        ("64", {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", BOTH[::-1]),
        ("46", {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, "PreferDualStack", BOTH[::-1]),
        ("46", {"ipFamilyPolicy": "RequireDualStack"}, "RequireDualStack", BOTH),
        ("46", {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, "RequireDualStack", BOTH[::-1]),
        ("46", {"ipFamilyPolicy": "RequireDualStack", "clusterIP": "fd00:10:96::5"}, "RequireDualStack", BOTH[::-1]),
        ("46", HEADLESS | SELECTED, "SingleStack", ["IPv4"]),
        ("46", HEADLESS | SELECTED | {"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", BOTH),
        ("4", HEADLESS, "RequireDualStack", BOTH),
        ("6", HEADLESS, "RequireDualStack", BOTH[::-1]),
        ("4", HEADLESS | {"ipFamilies": ["IPv6"]}, "RequireDualStack", BOTH[::-1]),
        ("4", HEADLESS | {"ipFamilyPolicy": "SingleStack"}, "SingleStack", ["IPv4"]),
    ],
)
def test_policy_and_families(ranges: str, given: dict[str, Any], policy: str, families: list[str]) -> None:
    spec = cluster(ranges).create(SERVICES, service(**given))["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == (policy, families)
    if given.get("clusterIP") == "None":
        assert spec["clusterIPs"] == ["None"]
    else:
        assert prefixes(spec) == families
        assert spec["clusterIP"] == spec["clusterIPs"][0]


def test_each_address_has_a_claim_that_names_its_family() -> None:
    server = cluster("46")
    made = server.create(SERVICES, service(ipFamilyPolicy="RequireDualStack"))
    labels = [server.get(f"{IPS}/{address}")["metadata"]["labels"] for address in made["spec"]["clusterIPs"]]
    assert [each["ipaddress.kubernetes.io/ip-family"] for each in labels] == BOTH
    server.request("DELETE", f"{SERVICES}/s")
    assert server.get(IPS)["items"] == []


def test_an_external_name_has_no_families() -> None:
    spec = cluster("46").create(SERVICES, service(type="ExternalName", externalName="example.com", ports=[]))["spec"]
    assert not {"ipFamilies", "ipFamilyPolicy", "clusterIPs"} & set(spec)


REFUSED = [
    ("4", {"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
    ("4", {"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
    ("6", {"ipFamilies": ["IPv4"]}, 'spec.ipFamilies[0]: Invalid value: "IPv4": not configured on this cluster'),
    ("4", {"clusterIP": "fd00:10:96::5"}, "IPv6 is not configured on this cluster"),
    ("46", {"ipFamilyPolicy": "Dual"}, 'supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'),
    ("46", {"ipFamilies": ["IPv5"]}, 'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'),
    ("46", {"ipFamilies": ["IPv4", "IPv4"]}, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
    ("46", {"ipFamilies": BOTH}, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families"),
    (
        "46",
        {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"]},
        "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs",
    ),
    ("46", {"clusterIPs": ["10.96.0.9"]}, "must be empty when `clusterIP` is not specified"),
    ("46", {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.8"]}, "first value must match `clusterIP`"),
    ("46", {"clusterIP": "None", "clusterIPs": ["None", "10.96.0.8"]}, "'None' must be the first and only value"),
    (
        "46",
        {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "10.96.0.8"], "ipFamilyPolicy": "RequireDualStack"},
        "may specify no more than one IP for each IP family",
    ),
    (
        "46",
        {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::1", "fd00::2"]},
        "may only hold up to 2 values",
    ),
    (
        "46",
        {"clusterIP": "10.96.0.9", "ipFamilies": ["IPv6"]},
        "expected an IPv6 value as indicated by `ipFamilies[0]`",
    ),
    ("46", {"clusterIP": "fd00:10:97::5"}, "failed to allocate IP fd00:10:97::5"),
    ("46", {"clusterIP": "fd00:10:96::"}, "failed to allocate IP fd00:10:96::"),
    ("46", {"clusterIP": "fe80::1%eth0"}, "must be a valid IP address"),
    (
        "46",
        {"type": "ExternalName", "externalName": "a.b", "ports": [], "ipFamilies": ["IPv4"]},
        "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
    ),
]


@pytest.mark.parametrize(("ranges", "given", "says"), REFUSED)
def test_what_cannot_be_had(ranges: str, given: dict[str, Any], says: str) -> None:
    code, status = cluster(ranges).request("POST", SERVICES, service(**given))
    assert code == 422
    assert says in status["message"]
    assert len(status["details"]["causes"]) == len({cause["message"] for cause in status["details"]["causes"]})


def patched(server: Server, **spec: Any) -> tuple[int, Any]:
    return server.request("PATCH", f"{SERVICES}/s", {"spec": spec}, content_type=MERGE)


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_up_to_two_families_and_down_again(policy: str) -> None:
    server = cluster("46")
    first = server.create(SERVICES, service())["spec"]["clusterIP"]
    code, answer = patched(server, ipFamilyPolicy=policy)
    assert (code, prefixes(answer["spec"]), answer["spec"]["clusterIP"]) == (200, BOTH, first)
    second = answer["spec"]["clusterIPs"][1]
    assert server.store.get(ip_key(second)) is not None
    code, answer = patched(server, ipFamilyPolicy="SingleStack")
    assert (code, answer["spec"]["clusterIPs"], answer["spec"]["ipFamilies"]) == (200, [first], ["IPv4"])
    assert server.store.get(ip_key(second)) is None


def test_the_second_address_may_be_asked_for() -> None:
    server = cluster("46")
    first = server.create(SERVICES, service())["spec"]["clusterIP"]
    code, answer = patched(server, ipFamilyPolicy="PreferDualStack", clusterIPs=[first, "fd00:10:96::42"])
    assert (code, answer["spec"]["clusterIPs"]) == (200, [first, "fd00:10:96::42"])
    assert server.request("POST", SERVICES, service("t", clusterIP="fd00:10:96:0::0042"))[0] == 422


CHANGES = [
    ({"clusterIPs": ["10.96.0.9"]}, "must be 'SingleStack' to release the secondary cluster IP"),
    ({"ipFamilies": ["IPv4"]}, "must be 'SingleStack' to release the secondary IP family"),
    ({"ipFamilies": ["IPv6", "IPv4"]}, "expected an IPv6 value as indicated by `ipFamilies[0]`"),
    ({"clusterIPs": ["10.96.0.9", "fd00:10:96::8"]}, "may not change once set"),
    ({"clusterIP": "10.96.0.8", "clusterIPs": ["10.96.0.8", "fd00:10:96::9"]}, "may not change once set"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_changes_that_cannot_be(change: dict[str, Any], says: str) -> None:
    server = cluster("46")
    asked = {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"]}
    server.create(SERVICES, service(ipFamilyPolicy="RequireDualStack", **asked))
    code, status = patched(server, **change)
    assert code == 422
    assert says in status["message"]


def test_a_put_that_leaves_them_out_keeps_them() -> None:
    server = cluster("46")
    made = server.create(SERVICES, service(ipFamilyPolicy="RequireDualStack"))["spec"]
    code, answer = server.request("PUT", f"{SERVICES}/s", service(ports=[{"port": 81}]))
    kept = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    assert (code, [answer["spec"][name] for name in kept]) == (200, [made[name] for name in kept])


def test_a_service_that_prefers_two_families_does_not_follow_the_cluster() -> None:
    server = cluster("4")
    server.create(SERVICES, service(ipFamilyPolicy="PreferDualStack"))
    code, _ = server.request(
        "PATCH", f"{CIDRS}/kubernetes", {"spec": {"cidrs": list(RANGES["46"])}}, content_type=MERGE
    )
    assert code == 200
    code, answer = patched(server, sessionAffinity="ClientIP")
    assert (code, prefixes(answer["spec"])) == (200, ["IPv4"])
    code, answer = patched(server, ipFamilyPolicy="RequireDualStack")
    assert (code, prefixes(answer["spec"])) == (200, BOTH)


@pytest.mark.parametrize(
    ("cidrs", "says"),
    [
        ([], "spec.cidrs: Required value: at least one CIDR required"),
        (["10.0.0.0/24", "10.0.1.0/24"], "may specify no more than one IP for each IP family"),
        (["10.0.0.0/24", "fd00::/64", "fd01::/64"], "may only hold up to 2 values"),
        (["10.0.0.1/24"], "must be a valid CIDR value"),
        (["x"], "must be a valid CIDR value"),
    ],
)
def test_service_cidrs_that_cannot_be(cidrs: list[str], says: str) -> None:
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
    code, status = cluster("4").request("POST", CIDRS, body | {"spec": {"cidrs": cidrs}})
    assert code == 422
    assert says in status["message"]


def test_another_service_cidr_gives_more_addresses_but_no_other_default() -> None:
    server = cluster("4")
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "a"}}
    server.create(CIDRS, body | {"spec": {"cidrs": ["fd00:9::/112", "10.9.0.0/28"]}})
    assert server.create(SERVICES, service(clusterIP="10.9.0.9"))["spec"]["ipFamilies"] == ["IPv4"]
    spec = server.create(SERVICES, service("t", ipFamilyPolicy="RequireDualStack"))["spec"]
    assert spec["clusterIPs"][0].startswith("10.96.")
    assert spec["clusterIPs"][1].startswith("fd00:9::")


def test_a_range_that_is_full_says_so() -> None:
    server = Server()
    server.serve_ranges("10.9.0.0/30")
    server.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    found = [server.create(SERVICES, service(name))["spec"]["clusterIP"] for name in "ab"]
    assert sorted(found) == ["10.9.0.1", "10.9.0.2"]
    code, status = server.request("POST", SERVICES, service("c"))
    assert code == 500
    assert "range is full" in status["message"]
