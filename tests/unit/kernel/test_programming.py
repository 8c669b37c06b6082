"""The protocol of `kernel.<node>`: sequences, epochs, boot ids, netlink's errors, and every message on the wire."""

import errno

import msgspec
import pytest
from topology import Chance, Network

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.kernel import Kernel
from podwire.services.node.kernel.programming import HANDLERS, Programmer


def request(*operations: m.Operation, sequence: int = 1, epoch: int = 1, boot: str = "boot-1") -> m.Program:
    return m.Program(requester="agent", epoch=epoch, sequence=sequence, boot_id=boot, operations=operations)


def programmer() -> Programmer:
    return Programmer(Kernel("node-1", "boot-1", Chance()))


DUMMY = m.LinkAdd(kind="dummy", name="d0", up=True)


def test_the_same_sequence_gets_the_stored_reply_and_changes_nothing() -> None:
    side = programmer()
    first = side.apply(request(DUMMY), 0)
    again = side.apply(request(DUMMY), 1)
    assert first.error is None
    assert again == msgspec.structs.replace(first, repeated=True)


@pytest.mark.parametrize(
    ("stale", "reason"),
    [
        (request(DUMMY, sequence=1), "sequence"),
        (request(DUMMY, epoch=0, sequence=9), "epoch"),
        (request(DUMMY, sequence=3, boot="boot-0"), "boot id"),
    ],
)
def test_what_is_stale_is_refused(stale: m.Program, reason: str) -> None:
    side = programmer()
    side.apply(request(sequence=2), 0)
    reply = side.apply(stale, 0)
    assert reply.error is not None
    assert (reply.error.index, reply.error.name) == (-1, "ESTALE")
    assert reason in reply.error.message
    assert side.apply(request(DUMMY, epoch=2, sequence=0), 0).error is None


LINK = m.LinkAdd(kind="dummy", name="d0", up=True)
ADDRESS = m.AddressAdd(device="d0", address="10.1.0.1/24")


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ((LINK, LINK), "EEXIST"),
        ((m.LinkDelete(name="x"),), "ENODEV"),
        ((m.LinkDelete(name="lo"),), "EOPNOTSUPP"),
        ((m.LinkAdd(kind="dummy", name="much-too-long-a-name"),), "EINVAL"),
        ((m.LinkAdd(kind="dummy", name="x", mtu=10),), "EINVAL"),
        ((m.LinkAdd(kind="dummy", name="x", address="zz"),), "EINVAL"),
        ((m.LinkAdd(kind="veth", name="x", peer_netns="gone"),), "ENOENT"),
        ((m.NetnsAdd(netns="n"), m.NetnsAdd(netns="n")), "EEXIST"),
        ((m.NetnsDelete(netns="n"),), "ENOENT"),
        ((m.NetnsDelete(netns=""),), "EBUSY"),
        ((LINK, ADDRESS, ADDRESS), "EEXIST"),
        ((LINK, m.AddressDelete(device="d0", address="10.1.0.1/24")), "EADDRNOTAVAIL"),
        ((LINK, m.AddressAdd(device="d0", address="10.1.0.1/99")), "EINVAL"),
        ((m.RouteAdd(destination="10.9.0.0/16", via="10.1.0.2"),), "ENETUNREACH"),
        ((m.RouteAdd(destination="10.9.0.1/16", device="lo"),), "EINVAL"),
        ((m.RouteDelete(destination="10.9.0.0/16"),), "ESRCH"),
        (
            (
                LINK,
                ADDRESS,
                m.RouteAdd(destination="10.9.0.0/16", via="10.1.0.2"),
                m.RouteAdd(destination="10.9.0.0/16", via="10.1.0.3"),
            ),
            "EEXIST",
        ),
        ((LINK, m.RouteAdd(destination="10.9.0.0/16", device="d0", source="10.2.0.1")), "EINVAL"),
        ((m.LinkAdd(kind="dummy", name="d1"), m.RouteAdd(destination="10.9.0.0/16", device="d1")), "ENETDOWN"),
        ((m.NeighbourDelete(device="lo", address="10.0.0.1"),), "ENOENT"),
        (
            (
                LINK,
                m.FdbReplace(device="d0", mac="02:00:00:00:00:01"),
            ),
            "EOPNOTSUPP",
        ),
        ((m.SysctlWrite(key="net.ipv4.nonsense", value="1"),), "ENOENT"),
        ((m.SysctlWrite(key="net.ipv4.ip_forward", value="yes"),), "EINVAL"),
        ((m.IptablesRestore(text="*filter\n-A NO -j DROP\nCOMMIT\n"),), "EINVAL"),
        ((m.IpsetRestore(text="add X 10.0.0.1"),), "EINVAL"),
        (
            (
                LINK,
                m.LinkAdd(kind="bridge", name="b0"),
                m.LinkAdd(kind="bridge", name="b1"),
                m.LinkSet(name="d0", master="b0"),
                m.LinkSet(name="d0", master="b1"),
            ),
            "EBUSY",
        ),
    ],
)
def test_the_first_failure_ends_the_turn_with_netlinks_errno(operations: tuple[m.Operation, ...], name: str) -> None:
    reply = programmer().apply(request(*operations), 0)
    assert reply.error is not None
    assert (reply.error.name, reply.error.index) == (name, len(operations) - 1)
    assert reply.error.errno == getattr(errno, name)
    assert len(reply.replies) == len(operations) - 1


@pytest.mark.parametrize("kind", list(HANDLERS))
def test_every_operation_survives_the_wire(kind: type[m.Operation]) -> None:
    fields: dict[str, object] = {
        field.name: {"kind": "links" if kind is m.Read else "veth"}.get(field.name, "x")
        for field in msgspec.structs.fields(kind)
        if field.required
    }
    if "server_port" in fields:
        fields["server_port"] = 80
    if "arguments" in fields:
        fields["arguments"] = ("-L",)
    program = request(msgspec.convert(fields, kind))
    octets = msgspec.msgpack.encode(program)
    assert msgspec.msgpack.decode(octets, type=m.Program) == program
    for cut in range(0, len(octets), 7):
        with pytest.raises(msgspec.DecodeError):
            msgspec.msgpack.decode(octets[:cut], type=m.Program)


@pytest.mark.parametrize(
    "kind",
    ["links", "addresses", "routes", "neighbours", "fdb", "sysctls", "netns", "iptables-save", "conntrack", "drops"],
)
def test_state_reads_back_in_a_form_that_travels(kind: str) -> None:
    network = Network()
    network[1].pod("a", 5)
    network[1].do(m.IptablesCommand(arguments=("-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")))
    network[1].sockets("a").open_udp().send_to(b"x", ("10.244.2.9", 9))
    network.run(5_000_000_000)
    network[1].kernel.receive("eth0", b"", network.now)
    side = Programmer(network[1].kernel)
    reply = side.apply(request(m.Read(kind=kind)), network.now)  # type: ignore[arg-type]  # from the table above
    assert reply.error is None
    assert reply.replies[0]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=m.Programmed).error is None


def test_deleting_a_namespace_takes_everything_along() -> None:
    network = Network()
    network[1].pod("a", 5)
    socket = network[1].sockets("a").open_tcp()
    socket.connect(("10.244.2.3", 80))
    network[1].do(m.NetnsDelete(netns="a"))
    assert "veth5" not in network[1].kernel.root.devices
    assert socket.state == "CLOSED"
    network[1].pod("a", 5)


def test_a_device_that_goes_down_takes_its_routes_and_brings_only_connected_ones_back() -> None:
    network = Network()
    node = network[1]
    node.do(m.LinkSet(name="eth0", up=False))
    assert [
        route.length for route in node.kernel.root.fib.routes() if route.device is node.kernel.root.devices["eth0"]
    ] == []
    node.do(m.LinkSet(name="eth0", up=True))
    assert [route.protocol for route in node.kernel.root.fib.routes() if route.destination == 0x0A000000] == ["kernel"]
