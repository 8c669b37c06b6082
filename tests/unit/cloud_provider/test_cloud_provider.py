"""What the cloud provider decides: addresses and machines."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.proto.kube.network import EndpointSlice, Node, Service
from podwire.proto.messages import codec
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.settings import SettingsError, load
from podwire.services.cloud_provider.core.addresses import Pools, assign, read_pools
from podwire.services.cloud_provider.core.routes import choose, fit_nodes
from podwire.services.cloud_provider.settings import CloudProviderSettings

POOL = "172.18.200.0/29"
"""Six addresses, .1 to .6."""
POOLS = read_pools(POOL)
BOTH = read_pools(f"{POOL},fd00:c8::/125")


def key(name: str) -> ObjectKey:
    return ObjectKey("", "services", "default", name)


def service(name: str, *addresses: str, **spec: Any) -> Service:
    ingress = [{"ip": address} for address in addresses if address]
    value = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "LoadBalancer", **spec},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    return codec.decode(Service, codec.encode(value))


def assigned(*services: Service, pools: Pools = POOLS) -> dict[str, str]:
    """The addresses of each, with a space between."""
    made = assign({key(each.metadata.name): each for each in services}, pools)
    return {entry.name: " ".join(addresses) for entry, addresses in made.addresses.items()}


def test_free_addresses_are_given_in_order_and_kept() -> None:
    assert assigned(service("a"), service("b")) == {"a": "172.18.200.1", "b": "172.18.200.2"}
    assert assigned(service("a"), service("b", "172.18.200.1")) == {"a": "172.18.200.2", "b": "172.18.200.1"}


def test_a_wanted_address_is_given_if_it_can_be() -> None:
    wanted = service("a", loadBalancerIP="172.18.200.5")
    assert assigned(wanted) == {"a": "172.18.200.5"}
    made = assign({key("a"): wanted, key("b"): service("b", "172.18.200.5")}, POOLS)
    assert made.refused == {key("a"): "spec.loadBalancerIP 172.18.200.5 is that of default/b"}
    outside = assign({key("a"): service("a", loadBalancerIP="10.0.0.1")}, POOLS)
    assert outside.refused == {key("a"): "spec.loadBalancerIP 10.0.0.1 is not in 172.18.200.0/29"}


@pytest.mark.parametrize(
    "other",
    [
        service("a", type="NodePort"),
        service("a", loadBalancerClass="example.com/other"),
        service("a", type="ClusterIP"),
    ],
)
def test_others_services_are_left_alone(other: Service) -> None:
    assert assigned(other) == {}


def test_a_family_without_a_pool_waits() -> None:
    said = "spec.ipFamilies ['IPv6']: no pool has IPv6 addresses, 172.18.200.0/29 alone"
    assert assign({key("a"): service("a", ipFamilies=["IPv6"])}, POOLS).refused == {key("a"): said}
    both = service("a", ipFamilies=["IPv6", "IPv4"])
    made = assign({key("a"): both}, POOLS)
    assert (made.addresses, list(made.refused)) == ({key("a"): ("172.18.200.1",)}, [key("a")])


def test_a_service_of_both_families_has_an_address_of_each() -> None:
    six_first = ["IPv6", "IPv4"]
    assert assigned(service("a", ipFamilies=six_first), pools=BOTH) == {"a": "fd00:c8::1 172.18.200.1"}
    held = service("a", "172.18.200.5", ipFamilies=["IPv4", "IPv6"])
    assert assigned(held, pools=BOTH) == {"a": "172.18.200.5 fd00:c8::1"}
    wanted = service("a", "fd00:c8::2", ipFamilies=six_first, loadBalancerIP="fd00:c8::4")
    assert assigned(wanted, pools=BOTH) == {"a": "fd00:c8::4 172.18.200.1"}
    single = service("a", "172.18.200.5", "fd00:c8::2", ipFamilies=["IPv6"])
    assert assigned(single, pools=BOTH) == {"a": "fd00:c8::2"}


@pytest.mark.parametrize("text", ["172.18.200.0/24,10.0.0.0/8", "172.18.200.1/24", "", "a,b,c"])
def test_pools_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="pool="):
        load(CloudProviderSettings, {"instance": "x", "pool": text}, {})


def test_an_exhausted_pool_is_said() -> None:
    services = {key(f"s{number}"): service(f"s{number}") for number in range(8)}
    made = assign(services, POOLS)
    assert len(made.addresses) == 6
    assert list(made.refused.values()) == [f"all addresses of {POOL} are given away"] * 2


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", "172.18.200.1", "172.18.200.2", "10.9.9.9", "nonsense"]), max_size=8))
def test_no_address_is_given_twice(statuses: list[str]) -> None:
    services = {key(f"s{number}"): service(f"s{number}", address) for number, address in enumerate(statuses)}
    made = assign(services, POOLS)
    given_addresses = [address for each in made.addresses.values() for address in each]
    assert len(dict.fromkeys(given_addresses)) == len(given_addresses)
    assert len(made.addresses) + len(made.refused) == len(services)


def node(name: str, address: str, ready: str = "True", **labels: str) -> Node:
    value = {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }
    return codec.decode(Node, codec.encode(value))


def endpoints(service_name: str, *nodes: tuple[str, bool]) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": service_name}
    entries = [{"addresses": ["10.244.1.2"], "nodeName": name, "conditions": {"ready": ready}} for name, ready in nodes]
    value = {"metadata": {"name": service_name, "namespace": "default", "labels": labels}, "endpoints": entries}
    return codec.decode(EndpointSlice, codec.encode(value))


def test_machines_that_are_not_ready_or_excluded_take_no_packets() -> None:
    excluded = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    nodes = [
        node("b", "1.0.0.2"),
        node("a", "1.0.0.1"),
        node("c", "1.0.0.3", "Unknown"),
        node("d", "1.0.0.4", **excluded),
    ]
    assert fit_nodes(nodes) == {"a": ("1.0.0.1",), "b": ("1.0.0.2",)}


NODES = {"a": ("1.0.0.1",), "b": ("1.0.0.2",)}


def test_addresses_are_spread_and_stay_where_they_are() -> None:
    services = {key("x"): service("x"), key("y"): service("y")}
    addresses = {key("x"): ("172.18.200.1",), key("y"): ("172.18.200.2",)}
    first = choose(addresses, services, [], NODES, {})
    assert first == {"172.18.200.1": "1.0.0.1", "172.18.200.2": "1.0.0.2"}
    moved = {"172.18.200.1": "1.0.0.2", "172.18.200.2": "1.0.0.2"}
    assert choose(addresses, services, [], NODES, moved) == moved
    assert choose(addresses, services, [], {"a": ("1.0.0.1",)}, moved) == dict.fromkeys(moved, "1.0.0.1")


def test_each_address_leads_to_an_address_of_its_family() -> None:
    services = {key("x"): service("x")}
    addresses = {key("x"): ("fd00:c8::1", "172.18.200.1")}
    nodes = {"a": ("1.0.0.1",), "b": ("1.0.0.2", "fd00::2")}
    assert choose(addresses, services, [], nodes, {}) == {"172.18.200.1": "1.0.0.1", "fd00:c8::1": "fd00::2"}


def test_local_goes_where_endpoints_are() -> None:
    services = {key("x"): service("x", externalTrafficPolicy="Local")}
    addresses = {key("x"): ("172.18.200.1",)}
    for slices, chosen in (
        ([endpoints("x", ("b", True))], {"172.18.200.1": "1.0.0.2"}),
        ([endpoints("x", ("b", False))], {}),
        ([endpoints("other", ("b", True))], {}),
    ):
        assert choose(addresses, services, slices, NODES, {"172.18.200.1": "1.0.0.1"}) == chosen
