"""Who may say and hear what on the bus: one user for each component and node."""

import pytest

from podwire.proto import subjects
from podwire.proto.packet.addresses import mac_of
from podwire.scripts.cluster.addressing import ADDRESSING
from podwire.scripts.cluster.layout import LayoutError, layout, machines
from podwire.scripts.cluster.permissions import operator, permissions
from podwire.services.chassis.bus.permissions import Permissions

LAYOUT = layout(3, "", {}, {}, (), {})
EVENTS = subjects.object_events(subjects.ObjectKey("", "pods", "default", "a"))


def user(place: str) -> Permissions:
    [plan] = [entry for entry in LAYOUT.processes if entry.place == place]
    return Permissions(*permissions(plan, LAYOUT))


@pytest.mark.parametrize(
    ("place", "subject", "allowed"),
    [
        ("ssh", "machine.node-1", True),
        ("ssh", "stream.node-1.abc.in", True),
        ("ssh", "kernel.node-1", False),
        ("ssh", "kubelet.node-1", False),
        ("ssh", EVENTS, False),
        ("kube-proxy@node-1", "kernel.node-1", True),
        ("kube-proxy@node-1", "kernel.node-2", False),
        ("kube-proxy@node-1", EVENTS, False),
        ("kube-proxy@node-1", "kube.request.system%3Akube-proxy%3Anode-1", True),
        ("kube-proxy@node-1", "kube.request.system%3Akube-proxy%3Anode-2", False),
        ("kube-proxy@node-1", "container.kube-proxy.node-1.abc.call", True),
        ("kube-proxy@node-1", "container.kube-proxy.node-2.abc.call", False),
        ("kube-proxy@node-1", "wire.nodes.024202420242", False),
        ("flannel@node-2", "kernel.node-2", True),
        ("flannel@node-2", "kernel.node-1", False),
        ("kubelet@node-1", "runtime.node-1", True),
        ("kubelet@node-1", "runtime.node-2", False),
        ("kubelet@node-1", "kernel.node-1", False),
        ("node@node-1", "wire.nodes.024202420242", True),
        ("node@node-1", "telemetry.hop.node-1", True),
        ("node@node-1", "telemetry.hop.node-2", False),
        ("node@node-1", "kube.request.system%3Anode%3Anode-1", False),
        ("coredns", "container.coredns.node-3.abc.call", True),
        ("coredns", "kernel.node-1", False),
        ("apiserver@control-plane", EVENTS, True),
        ("controllers@control-plane", EVENTS, False),
    ],
)
def test_what_may_be_said(place: str, subject: str, allowed: bool) -> None:
    assert user(place).may_publish(subject) is allowed


@pytest.mark.parametrize(
    ("place", "subject", "allowed"),
    [
        ("node@node-1", subjects.wire("nodes", mac_of("172.18.0.3")), True),
        ("node@node-1", subjects.wire("nodes", mac_of("172.18.0.4")), False),
        ("node@node-1", "wire.nodes.*", False),
        ("node@node-1", "kernel.node-2", False),
        ("kube-proxy@node-1", "kube.request.*", False),
        ("kube-proxy@node-1", "_INBOX.system%3Akube-proxy%3Anode-1.x", True),
        ("kube-proxy@node-1", "_INBOX.system%3Akube-proxy%3Anode-2.x", False),
        ("coredns", "container.coredns.any.offer", True),
        ("coredns", "container.kube-proxy.node-1.offer", False),
        ("apiserver@control-plane", "kube.request.*", True),
        ("recorder@control-plane", "telemetry.>", True),
    ],
)
def test_what_may_be_heard(place: str, subject: str, allowed: bool) -> None:
    assert user(place).may_subscribe(subject) is allowed


@pytest.mark.parametrize(
    ("subject", "publishes", "subscribes"),
    [
        (subjects.wire("nodes", mac_of("172.18.255.1")), True, True),
        (subjects.wire("nodes", mac_of("172.18.0.1")), True, False),
        (subjects.wire("nodes", mac_of("172.18.0.3")), True, False),
        ("telemetry.hop.external", True, True),
        ("telemetry.hop.node-1", False, True),
        ("machine.node-1", True, False),
        ("kernel.node-1", False, False),
    ],
)
def test_the_operator_may_be_a_host_outside_and_no_machine(subject: str, publishes: bool, subscribes: bool) -> None:
    user = Permissions(*operator("system:operator"))
    assert (user.may_publish(subject), user.may_subscribe(subject)) == (publishes, subscribes)


def test_every_process_has_a_user_of_its_own() -> None:
    users = [plan.user for plan in LAYOUT.processes]
    assert len(users) == len(dict.fromkeys(users))


def test_machines_and_their_addresses() -> None:
    made = [(machine.name, machine.address) for machine in machines(2, ADDRESSING["ipv4"])]
    assert made == [("control-plane", "172.18.0.2/16"), ("node-1", "172.18.0.3/16"), ("node-2", "172.18.0.4/16")]


@pytest.mark.parametrize("workers", [0, -1, 201])
def test_a_number_of_nodes_that_cannot_be(workers: int) -> None:
    with pytest.raises(LayoutError, match=f"--nodes {workers}: a number from 1 to 200 is needed"):
        machines(workers, ADDRESSING["ipv4"])
