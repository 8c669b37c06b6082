"""The fold: what changes cost, and that many small changes come to the same as one look at everything."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_services import SERVICES, ZONE, fold, keyed, objects

from podwire.proto.kube.meta import ObjectMeta
from podwire.proto.kube.network import SERVICE_NAME_LABEL, EndpointSlice
from podwire.proto.kube.network import Endpoint as SliceEndpoint
from podwire.proto.messages.kernel import ConntrackDelete, Flow
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.clock import SECOND
from podwire.services.kube_proxy.core.configuration import Configuration, ConfigurationError, read
from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.fold import TRIGGER_TIME, Fold
from podwire.services.kube_proxy.core.iptables.book import IptablesBook
from podwire.services.kube_proxy.core.pace import Pace
from podwire.services.kube_proxy.core.stale_flows import stale_flows
from podwire.services.kube_proxy.core.surroundings import Surroundings

AROUND = Surroundings(cluster_cidr="10.180.0.0/16", node_ip="192.168.0.2")
NAMES = [each["name"] for each in SERVICES]


def test_a_change_concerns_its_service_alone() -> None:
    known = fold("ipv4")
    known.take()
    [key] = [key for key, *_ in keyed("ipv4") if key.name == "two-ports"]
    service, endpoint_slice = objects(next(each for each in SERVICES if each["name"] == "web"), "ipv4")
    known.slice(ObjectKey("", "endpointslices", "ns", "web"), None)
    [change] = known.take()
    assert change.after is not None and (change.after.name.name, change.after.endpoints) == ("web", ())
    known.slice(ObjectKey("", "endpointslices", "ns", "web"), endpoint_slice)
    known.service(key, None)
    assert [(str(each.key[0]), each.after is None) for each in known.take()] == [
        ("ns/two-ports:http", True),
        ("ns/two-ports:admin", True),
        ("ns/web", False),
    ]
    known.service(ObjectKey("", "services", "ns", "web"), service)
    assert known.take() == []


def told(due: str, address: str = "10.180.1.1", **more: Any) -> EndpointSlice:
    """A slice of one endpoint that says since when it was due to change."""
    metadata = ObjectMeta(
        name="w", namespace="ns", labels={SERVICE_NAME_LABEL: "web"}, annotations={TRIGGER_TIME: due} if due else None
    )
    return EndpointSlice(metadata=metadata, endpoints=[SliceEndpoint(addresses=[address])], **more)


def test_what_is_measured_of_the_time_that_changes_take() -> None:
    """pkg/proxy/endpointschangetracker.go: changes alone, of this family, that were due since the proxy began."""
    known, key = Fold("node-1", began=1_767_225_600 * SECOND), ObjectKey("", "endpointslices", "ns", "w")
    for changed in (
        told("2025-12-31T23:59:59Z", "10.180.1.1"),
        told("2026-01-01T00:00:03Z", "10.180.1.2"),
        told("2026-01-01T00:00:04Z", "10.180.1.2"),
        told("2026-01-01T00:00:05.25Z", "10.180.1.3"),
        told("", "10.180.1.4"),
        told("yesterday", "10.180.1.5"),
        told("2026-01-01T00:00:06Z", "fd00::1", address_type="IPv6"),
    ):
        known.slice(key, changed)
    assert [due / SECOND - 1_767_225_600 for due in known.take_triggers()] == [3, 5.25]
    known.slice(key, told("2026-01-01T00:00:07Z", "10.180.1.6"))
    known.reset({}, {key: told("2026-01-01T00:00:08Z", "10.180.1.7")})
    known.reset({}, {key: told("2026-01-01T00:00:09Z", "10.180.1.7")})
    assert [due // SECOND - 1_767_225_600 for due in known.take_triggers()] == [7, 8]
    known.slice(key, told("2026-01-01T00:00:07Z", "10.180.1.8"))
    known.slice(key, None)
    assert known.take_triggers() == []


def test_the_zone_of_the_node_decides_what_is_near() -> None:
    known = fold("ipv4")
    known.take()
    known.set_zone("b")
    assert [change.key[0].name for change in known.take()] == ["hinted-elsewhere", "near", "near-local"][1:]


Steps = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["service", "slice"]), st.booleans()), max_size=30)


@settings(max_examples=40, deadline=None)
@given(Steps)
def test_many_changes_come_to_the_same_as_one_look(steps: list[tuple[str, str, bool]]) -> None:
    """Partial texts upon partial texts leave the rules that a full text of the last state has."""
    bodies = {given["name"]: objects(given, "ipv4") for given in SERVICES}
    known, book, kernel = Fold("node-1", "ipv4", ZONE), IptablesBook(AROUND), _Chains()
    kernel.restore(book.full_text({}, []))
    for name, what, is_there in steps:
        service, endpoint_slice = bodies[name]
        if what == "service":
            known.service(ObjectKey("", "services", "ns", name), service if is_there else None)
        else:
            known.slice(ObjectKey("", "endpointslices", "ns", name), endpoint_slice if is_there else None)
        kernel.restore(book.update_text(known.take()))
    whole, fresh = _Chains(), IptablesBook(AROUND)
    whole.restore(fresh.full_text(known.states, []))
    assert {chain: sorted(rules) for chain, rules in kernel.chains.items()} == {
        chain: sorted(rules) for chain, rules in whole.chains.items()
    }
    assert kernel.chains["nat", "KUBE-SERVICES"][-1] == whole.chains["nat", "KUBE-SERVICES"][-1]
    assert dict(book.rules) == dict(fresh.rules)


class _Chains:
    """What iptables-restore --noflush does to chains, as far as the book uses it."""

    def __init__(self) -> None:
        self.chains: dict[tuple[str, str], list[str]] = {}

    def restore(self, text: str) -> None:
        table = ""
        for line in text.splitlines():
            words = line.split(" ", 2)
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                self.chains[table, words[0][1:]] = []
            elif line.startswith("-A"):
                self.chains[table, words[1]].append(line)
            elif line.startswith("-I"):
                self.chains[table, words[1]].insert(0, f"-A{line[2:]}")
            elif line.startswith("-D"):
                self.chains[table, words[1]].remove(f"-A{line[2:]}")
            elif line.startswith("-X"):
                assert self.chains.pop((table, words[1])) == []


def test_endpoints_alone_do_not_touch_shared_chains() -> None:
    known, book = fold("ipv4"), IptablesBook(AROUND)
    known.take()
    book.full_text(known.states, [])
    given_web = copy.deepcopy(next(each for each in SERVICES if each["name"] == "web"))
    given_web["endpoints"]["r2"] = given_web["endpoints"]["r1"]
    known.slice(ObjectKey("", "endpointslices", "ns", "web"), objects(given_web, "ipv4")[1])
    text = book.update_text(known.take())
    assert [line[:9] for line in text.splitlines() if line.startswith(":")] == [":KUBE-SVC", ":KUBE-SEP"]
    assert "*filter" not in text


def test_large_clusters_go_without_comments() -> None:
    """The switch happens at the endpoint after the thousandth, and back."""
    known = fold("ipv4")
    known.take()
    key, state = next((key, state) for key, state in known.states.items() if key[0].name == "web")
    many = tuple(Endpoint(f"10.181.{n >> 8}.{n & 255}", 80, False, True, True, False) for n in range(1001))
    large = {key: replace(state, endpoints=many)}
    assert "web -> 10" not in IptablesBook(AROUND).full_text(large, [])
    assert "web -> 10" in IptablesBook(AROUND).full_text(known.states, [])


def test_the_pace_lets_two_through_and_then_one_a_period() -> None:
    pace, waits, now = Pace(1.0, 0), [], 0
    for _ in range(5):
        waits.append(pace.wait(now) // (SECOND // 10))
        now += pace.wait(now)
        pace.take(now)
    assert waits == [0, 0, 10, 10, 10]
    assert (pace.wait(now + SECOND), pace.wait(now + 9 * SECOND)) == (0, 0)


def _flow(protocol: int, destination: str, port: int, server: str) -> Flow:
    return Flow(
        protocol=protocol,
        state="",
        expires=0,
        original=("10.180.1.5", 4000, destination, port),
        reply=(server, 5353, "10.180.1.5", 4000),
        assured=True,
        seen_reply=True,
    )


@pytest.mark.parametrize(
    ("flow", "deleted"),
    [
        (_flow(17, "172.30.0.42", 53, "10.180.9.9"), ("172.30.0.42", 53)),
        (_flow(17, "172.30.0.42", 53, "10.180.1.12"), None),
        (_flow(6, "172.30.0.42", 53, "10.180.9.9"), None),
        (_flow(17, "172.30.0.44", 53, "10.180.9.9"), None),
        (_flow(17, "192.168.0.2", 30072, "10.180.9.9"), ("", 30072)),
        (_flow(17, "192.168.0.2", 30072, "10.180.2.21"), None),
        (_flow(17, "8.8.8.8", 53, "8.8.8.8"), None),
    ],
)
def test_flows_to_endpoints_that_no_longer_serve_are_forgotten(flow: Flow, deleted: tuple[str, int] | None) -> None:
    known = fold("ipv4")
    known.take()
    found = stale_flows([flow, flow], known.states.values())
    expected = (
        [
            ConntrackDelete(
                protocol="udp",
                original_destination=deleted[0],
                original_destination_port=deleted[1],
                reply_source="10.180.9.9",
            )
        ]
        if deleted
        else []
    )
    assert found == expected


def _configured(more: str) -> Configuration:
    return read("kind: KubeProxyConfiguration\n" + more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode: userspace", "mode: 'userspace' is none of iptables, ipvs, nftables"),
        ("clusterCIDR: 10.0.0.0/8,10.1.0.0/16", "one IPv4 and one IPv6 prefix at most"),
        ("clusterCIDR: nonsense", "clusterCIDR: 'nonsense'"),
        ("nodePortAddresses: [primary, 10.0.0.0/8]", "'primary' stands alone"),
        ("nodePortAddresses: [here]", "'here' is neither a prefix nor 'primary'"),
        ("nodePortAddresses: here", "is not a list of prefixes"),
        ("iptables: {syncPeriod: soon}", "iptables.syncPeriod: 'soon' is not a duration such as 30s"),
        ("iptables: 7", "iptables: 7 is not a mapping of fields"),
        ("iptables: {masqueradeBit: 32}", "iptables.masqueradeBit: 32 is not within 0 to 31"),
        ("iptables: {masqueradeAll: 1}", "iptables.masqueradeAll: 1 is neither true nor false"),
        ("detectLocalMode: BridgeInterface", "detectLocalMode: 'BridgeInterface' is not built; ClusterCIDR is"),
        ("healthzBindAddress: everywhere", "healthzBindAddress: 'everywhere' is not address:port"),
        ("? [", "config.conf: "),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        _configured(text)
    assert said in str(raised.value)


def test_what_a_configuration_says() -> None:
    found = _configured("mode: ''\nclusterCIDR: 10.244.0.0/16,fd00:10:244::/56\niptables: {minSyncPeriod: 1m30s}")
    assert (found.mode, found.min_sync_period, found.sync_period) == ("iptables", 90.0, 30.0)
    assert (found.cluster_cidr("ipv4"), found.cluster_cidr("ipv6")) == ("10.244.0.0/16", "fd00:10:244::/56")
    assert (found.healthz_port, found.metrics_port) == (10256, 10249)
