"""A machine's capture: every namespace, also later ones, in order, within bounds, and nothing left behind."""

from types import SimpleNamespace
from typing import Any

import pytest
from topology import SECOND, Network

from podwire.proto.messages import kernel as m
from podwire.proto.messages import machine as messages
from podwire.proto.messages.capture import Captured, Seen
from podwire.services.node.kernel.sockets import capture as sockets
from podwire.services.node.traffic.capture import MachineCapture

STARTED = 1_000_000 * SECOND


def opened(network: Network, namespace: str | None = None, **wanted: Any) -> MachineCapture:
    """A capture on the first node of a network whose clock began at STARTED."""
    owner = {"web": "default/web"}
    shell = SimpleNamespace(kernel=network[1].kernel, owner_of_namespace=lambda name: owner.get(name, name))
    clock = SimpleNamespace(now_ns=lambda: STARTED + network.now, monotonic_ns=lambda: network.now)
    machine: Any = SimpleNamespace(shell=shell, clock=clock)
    return MachineCapture(machine, messages.Capture(session="s", **wanted), namespace)


def told(capture: MachineCapture) -> list[Captured]:
    found: list[Any] = []
    while records := capture.take():
        found += records
    return found


def ping(network: Network, source: str, address: str) -> None:
    with network[1].kernel.turn():
        network[1].sockets(source).open_ping().send_echo(address, 1)
    network.run(SECOND)


def test_frames_of_all_namespaces_in_the_order_of_their_way() -> None:
    network = Network(2)
    network[1].pod("web", 2)
    capture = opened(network)
    ping(network, "web", "10.244.1.1")
    requests = [each for each in told(capture) if each.frame[12:14] == b"\x08\x00" and each.frame[34] == 8]
    assert [(each.netns, each.device, each.is_outgoing) for each in requests] == [
        ("default/web", "eth0", True), ("", "veth2", False), ("", "cni0", False)
    ]  # fmt: skip  # a table
    assert all(STARTED <= each.time <= STARTED + 2 * SECOND for each in requests)


def test_a_pod_that_comes_later_is_seen_and_one_namespace_can_be_all() -> None:
    network = Network(1)
    every, host = opened(network), opened(network, "")
    network[1].pod("web", 2)
    ping(network, "web", "10.244.1.1")
    assert "default/web" in [each.netns for each in told(every)]
    assert dict.fromkeys(each.netns for each in told(host)) == {"": None}


def test_drops_are_told_after_the_frames_that_led_to_them() -> None:
    network = Network(1)
    network[1].pod("web", 2)
    capture, quiet = opened(network), opened(network, drops=False)
    network[1].sockets("web").open_udp().send_to(b"x", ("10.244.1.1", 9))
    network.run(SECOND)
    found = told(capture)
    at = next(index for index, each in enumerate(found) if each.reason == "NO_SOCKET")
    assert found[at - 1].frame == found[at].frame and found[at].detail == "no UDP socket on port 9"
    assert not any(each.reason for each in told(quiet))


def test_devices_and_ports() -> None:
    network = Network(1)
    network[1].pod("web", 2)
    capture = opened(network, devices=["cni0"], ports=[9], drops=False)
    for port in (9, 10):
        network[1].sockets("web").open_udp().send_to(b"x", ("10.244.1.1", port))
    network.run(SECOND)
    assert [each.device for each in told(capture)] == ["cni0"]


def test_a_reader_that_stalls_costs_frames_and_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "QUEUE_LIMIT", 10)
    network = Network(1)
    network[1].pod("web", 2)
    capture = opened(network, "web")
    for _ in range(30):
        ping(network, "web", "10.244.1.1")
    assert len([each for each in told(capture) if not each.reason]) == 10
    [seen] = [each for each in capture.statistics() if isinstance(each, Seen) and each.device == "eth0"]
    assert seen.netns == "default/web" and seen.lost == seen.passed - 10 > 40


def test_nothing_is_left_behind() -> None:
    network = Network(1)
    network[1].pod("web", 2)
    kernel = network[1].kernel
    capture = opened(network)
    assert all(namespace.taps for namespace in kernel.namespaces.values())
    capture.close()
    capture.close()
    assert not any(namespace.taps for namespace in kernel.namespaces.values())
    assert kernel.drop_monitors == kernel.namespace_listeners == []


def test_a_pod_that_goes_leaves_its_counts_only() -> None:
    network = Network(1)
    network[1].pod("web", 2)
    capture = opened(network)
    ping(network, "web", "10.244.1.1")
    network[1].do(m.NetnsDelete(netns="web"))
    assert "default/web" in [each.netns for each in told(capture)]
    assert list(capture._sockets) == [""]
    assert ("default/web", "eth0") in [(each.netns, each.device) for each in capture.statistics()]
