"""Endpoints, EndpointSlices and pod CIDRs."""

from functools import partial
from typing import Any

import pytest

from podwire.proto.kube.json_objects import copy_json
from podwire.proto.kube.resources import ENDPOINT_SLICES, ENDPOINTS, IP_ADDRESSES, NODES, PODS, SERVICES
from podwire.services.chassis.settings import SettingsError, load
from podwire.services.controllers.core import endpoints, endpointslices
from podwire.services.controllers.core.node_ipam import node_ipam
from podwire.services.controllers.core.trigger_times import TRIGGER_TIME, TriggerTimes
from podwire.services.controllers.loop import WHOLE
from podwire.services.controllers.settings import ControllersSettings


def service(**spec: Any) -> dict[str, Any]:
    given = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}], **spec}
    return {"metadata": {"name": "web", "labels": {"team": "a"}}, "spec": given}


def pod(name: str, address: str, ready: bool = True, **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "uid": f"u-{name}", "labels": {"app": "web"}, **more.get("metadata", {})},
        "spec": {"nodeName": "node-1", "containers": more.get("containers", [])},
        "status": {"phase": more.get("phase", "Running"), "podIP": address, "conditions": conditions},
    }


GOING = {"metadata": {"deletionTimestamp": "2023-11-14T22:13:20Z"}}


def settle(world: Any, *triggers: TriggerTimes) -> None:
    """Both controllers' work; `triggers` is what each knows of before (nothing)."""
    key, (one, other) = world.key(SERVICES, "web"), triggers or (TriggerTimes(), TriggerTimes())
    world.settle(partial(endpoints.decide, one), key)
    world.settle(partial(endpointslices.decide, other), key)


def conditions(world: Any) -> dict[str, tuple[bool, bool, bool]]:
    found = {}
    for name in world.names(ENDPOINT_SLICES):
        for endpoint in world.get(ENDPOINT_SLICES, name)["endpoints"]:
            state = endpoint["conditions"]
            found[endpoint["targetRef"]["name"]] = (state["ready"], state["serving"], state["terminating"])
    return found


def test_both_forms_of_endpoints(world: Any) -> None:
    world.put(SERVICES, service())
    world.put(PODS, pod("b", "10.244.2.3"))
    world.put(PODS, pod("a", "10.244.1.5"))
    world.put(PODS, pod("unready", "10.244.1.6", ready=False))
    world.put(PODS, pod("going", "10.244.1.7", **GOING))
    world.put(PODS, pod("done", "10.244.1.8", phase="Succeeded"))
    world.put(PODS, pod("young", ""))
    settle(world)
    (subset,) = world.get(ENDPOINTS, "web")["subsets"]
    assert [address["ip"] for address in subset["addresses"]] == ["10.244.1.5", "10.244.2.3"]
    assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.244.1.6"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert subset["addresses"][0]["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": "u-a"}
    (name,) = world.names(ENDPOINT_SLICES)
    assert name.startswith("web-")
    assert len(name) == len("web-") + 5
    made = world.get(ENDPOINT_SLICES, name)
    assert made["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert made["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert conditions(world) == {
        "a": (True, True, False),
        "b": (True, True, False),
        "unready": (False, False, False),
        "going": (False, True, True),
    }


def test_a_service_without_pods_has_an_empty_slice(world: Any) -> None:
    world.put(SERVICES, service())
    settle(world)
    assert world.get(ENDPOINTS, "web")["subsets"] == []
    (name,) = world.names(ENDPOINT_SLICES)
    assert (world.get(ENDPOINT_SLICES, name)["endpoints"], world.get(ENDPOINT_SLICES, name)["ports"]) == ([], [])


def dual_pod(name: str, number: int, *families: str) -> dict[str, Any]:
    body = pod(name, "")
    addresses = {"IPv4": f"10.244.1.{number}", "IPv6": f"fd00:10:244:1::{number}"}
    body["status"]["podIPs"] = [{"ip": addresses[family]} for family in families]
    return body


def slices_by_family(world: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in world.names(ENDPOINT_SLICES):
        made = world.get(ENDPOINT_SLICES, name)
        found.setdefault(made["addressType"], []).extend(each["addresses"][0] for each in made["endpoints"])
    return found


@pytest.mark.parametrize(
    ("families", "expected", "older"),
    [
        (["IPv4"], {"IPv4": ["10.244.1.5", "10.244.1.6"]}, ["10.244.1.5", "10.244.1.6"]),
        (["IPv6"], {"IPv6": ["fd00:10:244:1::5", "fd00:10:244:1::7"]}, ["fd00:10:244:1::5", "fd00:10:244:1::7"]),
        (
            ["IPv6", "IPv4"],
            {"IPv4": ["10.244.1.5", "10.244.1.6"], "IPv6": ["fd00:10:244:1::5", "fd00:10:244:1::7"]},
            ["fd00:10:244:1::5", "fd00:10:244:1::7"],
        ),
    ],
)
def test_each_family_has_slices_of_its_own(
    world: Any, families: list[str], expected: dict[str, list[str]], older: list[str]
) -> None:
    world.put(SERVICES, service(ipFamilies=families))
    world.put(PODS, dual_pod("both", 5, "IPv4", "IPv6"))
    world.put(PODS, dual_pod("only-4", 6, "IPv4"))
    world.put(PODS, dual_pod("only-6", 7, "IPv6"))
    settle(world)
    assert slices_by_family(world) == expected
    assert [each["ip"] for each in world.get(ENDPOINTS, "web")["subsets"][0]["addresses"]] == older


def test_a_family_that_a_service_gives_up_loses_its_slices(world: Any) -> None:
    world.put(SERVICES, service(ipFamilies=["IPv4", "IPv6"]))
    world.put(PODS, dual_pod("both", 5, "IPv4", "IPv6"))
    settle(world)
    before = world.names(ENDPOINT_SLICES)
    reduced = copy_json(world.get(SERVICES, "web"))
    reduced["spec"]["ipFamilies"] = ["IPv4"]
    world.put(SERVICES, reduced)
    settle(world)
    assert (len(before), slices_by_family(world)) == (2, {"IPv4": ["10.244.1.5"]})


def test_a_service_of_both_families_without_pods_has_an_empty_slice_of_each(world: Any) -> None:
    world.put(SERVICES, service(ipFamilies=["IPv4", "IPv6"]))
    settle(world)
    assert slices_by_family(world) == {"IPv4": [], "IPv6": []}


def test_services_without_selector_are_left_alone(world: Any) -> None:
    world.put(SERVICES, service(selector={}))
    world.put(PODS, pod("a", "10.244.1.5"))
    settle(world)
    assert (world.names(ENDPOINTS), world.names(ENDPOINT_SLICES)) == ([], [])


def test_named_target_ports_differ_by_pod(world: Any) -> None:
    world.put(SERVICES, service(ports=[{"name": "http", "port": 80, "targetPort": "web"}]))
    for name, number in (("a", 8080), ("b", 9090)):
        containers = [{"ports": [{"name": "web", "containerPort": number}]}]
        world.put(PODS, pod(name, f"10.244.1.{number % 97}", containers=containers))
    world.put(PODS, pod("portless", "10.244.1.9"))
    settle(world)
    assert [subset["ports"][0]["port"] for subset in world.get(ENDPOINTS, "web")["subsets"]] == [8080, 9090]
    slices = [world.get(ENDPOINT_SLICES, name) for name in world.names(ENDPOINT_SLICES)]
    assert sorted(each["ports"][0]["port"] for each in slices if each["ports"]) == [8080, 9090]


def test_headless_services_name_their_pods(world: Any) -> None:
    world.put(SERVICES, service(clusterIP="None", ports=[]))
    body = pod("a", "10.244.1.5")
    body["spec"] |= {"hostname": "a-0", "subdomain": "web"}
    world.put(PODS, body)
    settle(world)
    made = world.get(ENDPOINT_SLICES, world.names(ENDPOINT_SLICES)[0])
    assert made["endpoints"][0]["hostname"] == "a-0"
    assert made["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert world.get(ENDPOINTS, "web")["subsets"][0]["addresses"][0]["hostname"] == "a-0"


def test_publish_not_ready_addresses(world: Any) -> None:
    world.put(SERVICES, service(publishNotReadyAddresses=True))
    world.put(PODS, pod("a", "10.244.1.5", ready=False))
    settle(world)
    assert conditions(world) == {"a": (True, False, False)}


def test_slices_hold_a_hundred_and_endpoints_stay_where_they_are(world: Any) -> None:
    world.put(SERVICES, service())
    for number in range(150):
        world.put(PODS, pod(f"p{number:03}", f"10.244.{number // 100}.{number % 100 + 2}"))
    settle(world)
    assert _sizes(world) == [50, 100]
    before = _places(world)
    for number in range(60):
        world.drop(PODS, f"p{number:03}")
    settle(world)
    assert sum(_sizes(world)) == 90
    after = _places(world)
    assert all(before[name] == place for name, place in after.items())


def _sizes(world: Any) -> list[int]:
    return sorted(len(world.get(ENDPOINT_SLICES, name)["endpoints"]) for name in world.names(ENDPOINT_SLICES))


def _places(world: Any) -> dict[str, str]:
    return {
        endpoint["targetRef"]["name"]: name
        for name in world.names(ENDPOINT_SLICES)
        for endpoint in world.get(ENDPOINT_SLICES, name)["endpoints"]
    }


def turned(pod: dict[str, Any], time: str) -> dict[str, Any]:
    """A pod whose Ready condition turned at a time."""
    pod["status"]["conditions"][0]["lastTransitionTime"] = time
    return pod


def told(world: Any) -> list[str | None]:
    """Since when the Endpoints and their EndpointSlice were due, as they say."""
    [name] = world.names(ENDPOINT_SLICES)
    both = (world.get(ENDPOINTS, "web"), world.get(ENDPOINT_SLICES, name))
    return [each["metadata"].get("annotations", {}).get(TRIGGER_TIME) for each in both]


def test_endpoints_tell_since_when_they_were_due(world: Any) -> None:
    """As TriggerTimeTracker does: a new Service's creation, then the earliest of the conditions that turned since; a
    deletion turns none; a controller that starts anew knows nothing, and says the creation."""
    triggers, made = (TriggerTimes(), TriggerTimes()), service()
    made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world.put(SERVICES, made)
    world.put(PODS, turned(pod("a", "10.244.1.5"), "2026-01-01T00:00:05Z"))
    settle(world, *triggers)
    assert told(world) == ["2026-01-01T00:00:00Z"] * 2
    world.put(PODS, turned(pod("a", "10.244.1.5", ready=False), "2026-01-01T00:00:09Z"))
    world.put(PODS, turned(pod("b", "10.244.1.6"), "2026-01-01T00:00:08Z"))
    settle(world, *triggers)
    assert told(world) == ["2026-01-01T00:00:08Z"] * 2
    world.drop(PODS, "b")
    settle(world, *triggers)
    assert told(world) == [None, None]
    world.put(PODS, turned(pod("a", "10.244.1.5"), "2026-01-01T00:00:20Z"))
    settle(world)
    assert told(world) == ["2026-01-01T00:00:00Z"] * 2


def test_a_view_that_lags_cannot_make_two_slices(world: Any) -> None:
    world.put(SERVICES, service())
    world.put(PODS, pod("a", "10.244.1.5"))
    first, second = (
        world.decide(partial(endpointslices.decide, TriggerTimes()), world.key(SERVICES, "web")) for _ in range(2)
    )
    assert first[0].body["metadata"]["name"] == second[0].body["metadata"]["name"]


def test_the_endpoints_of_a_deleted_service_go(world: Any) -> None:
    world.put(SERVICES, service())
    settle(world)
    world.drop(SERVICES, "web")
    world.settle(partial(endpoints.decide, TriggerTimes()), world.key(SERVICES, "web"))
    assert world.names(ENDPOINTS) == []


CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
IPAM = node_ipam("10.244.0.0/16")


def join(world: Any, *names: str) -> None:
    for name in names:
        labels = CONTROL_PLANE if name == "control-plane" else {}
        world.put(NODES, {"metadata": {"name": name, "labels": labels}, "spec": {}})


def ranges(world: Any) -> dict[str, str]:
    return {name: world.get(NODES, name)["spec"].get("podCIDR", "") for name in world.names(NODES)}


@pytest.mark.parametrize("order", [["control-plane", "node-1", "node-2"], ["node-2", "node-1", "control-plane"]])
@pytest.mark.parametrize("together", [True, False])
def test_nodes_get_their_ranges_whatever_order_they_join_in(world: Any, order: list[str], together: bool) -> None:
    for batch in [order] if together else [[name] for name in order]:
        join(world, *batch)
        world.settle(IPAM, WHOLE)
    assert ranges(world) == {
        "control-plane": "10.244.0.0/24",
        "node-1": "10.244.1.0/24",
        "node-2": "10.244.2.0/24",
    }


def test_the_claim_comes_before_the_range(world: Any) -> None:
    join(world, "node-1")
    (claim,) = world.decide(IPAM, WHOLE)
    assert (claim.resource, claim.body["metadata"]["name"]) == (IP_ADDRESSES, "10.244.1.0")
    world.apply(claim)
    (patch,) = world.decide(IPAM, WHOLE)
    assert patch.body["spec"]["podCIDRs"] == ["10.244.1.0/24"]


def test_a_range_is_kept_while_its_node_lives_and_free_afterwards(world: Any) -> None:
    join(world, "node-1", "worker")
    world.settle(IPAM, WHOLE)
    assert ranges(world)["worker"] == "10.244.2.0/24"
    rebooted = copy_json(world.get(NODES, "worker"))
    del rebooted["spec"]["podCIDR"]
    world.put(NODES, rebooted)
    world.settle(IPAM, WHOLE)
    assert ranges(world)["worker"] == "10.244.2.0/24"
    world.drop(NODES, "worker")
    join(world, "another")
    world.settle(IPAM, WHOLE)
    world.settle(IPAM, WHOLE)
    assert ranges(world)["another"] in ("10.244.2.0/24", "10.244.3.0/24")
    assert "10.244.2.0" not in world.names(IP_ADDRESSES) or ranges(world)["another"] == "10.244.2.0/24"


@pytest.mark.parametrize(
    ("cluster_cidr", "claimed", "cidrs"),
    [
        ("10.244.0.0/16,fd00:10:244::/56", "10.244.7.0", ["10.244.7.0/24", "fd00:10:244:7::/64"]),
        ("fd00:10:244::/56,10.244.0.0/16", "fd00:10:244:7::", ["fd00:10:244:7::/64", "10.244.7.0/24"]),
        ("fd00:10:244::/56", "fd00:10:244:7::", ["fd00:10:244:7::/64"]),
        ("10.0.0.0/20", "10.0.7.0", ["10.0.7.0/24"]),
    ],
)
def test_ranges_of_each_family_go_by_one_number(world: Any, cluster_cidr: str, claimed: str, cidrs: list[str]) -> None:
    join(world, "node-7")
    world.settle(node_ipam(cluster_cidr), WHOLE)
    spec = world.get(NODES, "node-7")["spec"]
    assert (spec["podCIDR"], spec["podCIDRs"]) == (cidrs[0], cidrs)
    assert world.names(IP_ADDRESSES) == [claimed]


def test_a_node_beyond_the_last_range_has_none(world: Any) -> None:
    join(world, "node-1", "node-2", "node-3")
    world.settle(node_ipam("10.0.0.0/22,fd00::/63"), WHOLE)
    assert ranges(world) == {"node-1": "10.0.1.0/24", "node-2": "", "node-3": ""}


@pytest.mark.parametrize(
    ("cluster_cidr", "says"),
    [
        ("10.244.0.0/16,10.245.0.0/16", "one network is needed, or one of each family"),
        ("10.244.0.0", "has no room for a node"),
        ("fd00::/65", "a node's range is a /64"),
        ("10.244.0.1/16", "has host bits set"),
        ("", "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_networks_that_pods_cannot_have_are_refused(cluster_cidr: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(ControllersSettings, {"instance": "x", "cluster_cidr": cluster_cidr}, {})
