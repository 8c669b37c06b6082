"""SCTP associations: handshake, streams under loss, shutdown, and packets out of the blue, on a virtual clock."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology import MILLISECOND, SECOND, Chance, Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet import sctp
from podwire.proto.packet.ipv4 import SCTP, UDP, IPv4
from podwire.proto.packet.sctp import Chunk, Init, Sctp
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.printing.netfilter import conntrack_list
from podwire.services.node.kernel.sockets.sctp_association import SctpSocket
from podwire.services.node.kernel.sockets.sctp_listener import SctpListener

SERVER = ("10.244.2.3", 7777)


def pair() -> tuple[Network, SctpListener, SctpSocket]:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    return network, network[2].sockets("c").sctp.listen(("", SERVER[1])), network[1].sockets("a").sctp.open()


def opened() -> tuple[Network, SctpSocket, SctpSocket]:
    network, listener, client = pair()
    client.connect(SERVER)
    network.run(SECOND)
    server = listener.accept()
    assert server is not None
    return network, client, server


def inner(frame: bytes) -> tuple[IPv4, Sctp] | None:
    """The SCTP packet in a frame between the nodes, None if it holds another."""
    if len(frame) < 64 + 20 or frame[23] != UDP or frame[62:64] != b"\x08\x00" or frame[64 + 9] != SCTP:
        return None
    header, at = IPv4.parse(frame[64:])
    return header, Sctp.parse(frame[64 + at :])


def chunks(network: Network) -> list[str]:
    """The chunks that crossed the wire between the nodes, each by its name."""
    packets = [found[1] for frame in network.frames if (found := inner(frame)) is not None]
    return [sctp.NAMES[chunk.type] for packet in packets for chunk in packet.chunks]


def exchange(
    network: Network, sender: SctpSocket, receiver: SctpSocket, messages: list[tuple[bytes, int]]
) -> list[tuple[bytes, int]]:
    got, waiting, end = [], list(messages), network.now + 600 * SECOND
    while len(got) < len(messages) and network.now < end:
        while waiting and sender.send(*waiting[0]):
            waiting.pop(0)
        network.run(20 * MILLISECOND)
        while (message := receiver.receive()) is not None:
            got.append((message.payload, message.stream))
    return got


def test_the_handshake_takes_four_packets_and_closing_three() -> None:
    network, client, server = opened()
    assert (client.state, server.state) == ("ESTABLISHED", "ESTABLISHED")
    assert chunks(network) == ["INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"]
    network.frames.clear()
    client.close()
    network.run(SECOND)
    assert chunks(network) == ["SHUTDOWN", "SHUTDOWN ACK", "SHUTDOWN COMPLETE"]
    assert (client.state, server.state, server.ended) == ("CLOSED", "CLOSED", True)


@pytest.mark.parametrize(("loss", "jitter"), [(0, 0), (0, 20), (50, 0), (100, 20)])
def test_messages_arrive_whole_once_and_in_order_within_each_stream(loss: int, jitter: int) -> None:
    """`loss` in thousandths, `jitter` in milliseconds; messages from 1 to 20,000 bytes in three streams."""
    network, client, server = opened()
    chance = Chance(5)

    def fate(frame: bytes) -> int | None:
        if chance.getrandbits(16) % 1000 < loss:
            return None
        return chance.getrandbits(16) % (jitter * MILLISECOND) if jitter else 0

    network.fate = fate
    sent = [(bytes([number]) * (number * 701 % 20000 + 1), number % 3) for number in range(60)]
    got = exchange(network, client, server, sent)
    for stream in range(3):
        assert [each for each in got if each[1] == stream] == [each for each in sent if each[1] == stream]
    assert exchange(network, server, client, sent[:10])


def test_over_ipv6() -> None:
    network, listener, _ = pair()
    for number, netns, host in ((1, "a", 5), (2, "c", 3)):
        network[number].do(m.AddressAdd(netns=netns, device="eth0", address=f"fd00::{host}/64"))
    local = network[2].sockets("c").sctp.listen(("fd00::3", 9))
    near = network[2].sockets("c").sctp.open()
    near.connect(("fd00::3", 9))
    network.run(SECOND)
    far = local.accept()
    assert far is not None
    assert exchange(network, near, far, [(b"y" * 5000, 0)]) == [(b"y" * 5000, 0)]
    assert near.remote_endpoint == ("fd00::3", 9)
    listener.close()


def test_a_slow_reader_closes_the_window_and_nothing_is_lost() -> None:
    network, client, server = opened()
    sent = [(bytes([number]) * 5000, 0) for number in range(40)]
    taken = 0
    while taken < len(sent) and client.send(*sent[taken]):
        taken += 1
    network.run(10 * SECOND)
    assert server.waiting <= 106_496
    rest = exchange(network, client, server, [*sent[taken:], (b"end", 1)])
    network.run(60 * SECOND)
    while (message := server.receive()) is not None:
        rest.append((message.payload, message.stream))
    assert sorted(rest) == sorted([*sent, (b"end", 1)])


def test_nobody_listens() -> None:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    client = network[1].sockets("a").sctp.open()
    client.connect(SERVER)
    network.run(SECOND)
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        # an INIT is sent nine times, the waits growing from 3 s to at most 60 s: 3+6+12+24+48+60*4
        ("-j DROP", 332, None),
        ("-j DROP", 334, errno.ETIMEDOUT),
        ("-j REJECT", 332, None),
        ("-j REJECT", 334, errno.ETIMEDOUT),
        ("-j REJECT --reject-with icmp-proto-unreachable", 1, errno.ENOPROTOOPT),
    ],
)
def test_a_handshake_that_is_blocked(rule: str, after: int, expected: int | None) -> None:
    network, _, client = pair()
    network[2].do(m.IptablesCommand(arguments=("-A", "FORWARD", "-p", "sctp", "--dport", "7777", *rule.split())))
    client.connect(SERVER)
    network.run(after * SECOND)
    assert (client.error or None) == expected


@pytest.mark.parametrize("lost", ["INIT ACK", "COOKIE ECHO", "COOKIE ACK"])
def test_a_lost_packet_of_the_handshake_is_sent_again(lost: str) -> None:
    network, listener, client = pair()
    seen: list[str] = []

    def fate(frame: bytes) -> int | None:
        found = inner(frame)
        if found is None:
            return 0
        seen.append(sctp.NAMES[found[1].chunks[0].type])
        return None if seen[-1] == lost and seen.count(lost) == 1 else 0

    network.fate = fate
    client.connect(SERVER)
    network.run(SECOND)
    assert client.state != "ESTABLISHED"
    network.run(5 * SECOND)
    assert client.state == "ESTABLISHED"
    assert listener.accept() is not None
    assert listener.accept() is None


def test_an_idle_association_is_kept_alive_and_a_dead_peer_noticed() -> None:
    network, client, server = opened()
    network.frames.clear()
    network.run(100 * SECOND)
    assert chunks(network).count("HB ACK") >= 4
    network.fate = lambda _: None
    network.run(3000 * SECOND)
    assert (client.error, server.error) == (errno.ETIMEDOUT, errno.ETIMEDOUT)


def test_closing_with_unread_messages_aborts() -> None:
    network, client, server = opened()
    client.send(b"unread")
    network.run(SECOND)
    server.close()
    network.run(SECOND)
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ECONNRESET


def test_what_is_queued_arrives_before_the_end() -> None:
    network, client, server = opened()
    assert client.send(b"x" * 50000, 3)
    client.close()
    network.run(30 * SECOND)
    message = server.receive()
    assert message is not None
    assert (len(message.payload), message.stream) == (50000, 3)
    assert server.ended


@pytest.mark.parametrize(
    ("chunk", "tag", "answer"),
    [
        (Chunk(sctp.SHUTDOWN_ACK), 5, (sctp.SHUTDOWN_COMPLETE, 1, 5)),
        (Chunk(sctp.HEARTBEAT), 5, (sctp.ABORT, 1, 5)),
        (Chunk(sctp.INIT, 0, Init(9, 1, 1, 1, 1).build()), 0, (sctp.ABORT, 0, 9)),
        (Chunk(sctp.ABORT), 5, None),
        (Chunk(sctp.SHUTDOWN_COMPLETE), 5, None),
        (Chunk(sctp.COOKIE_ACK), 5, None),
    ],
    ids=lambda value: sctp.NAMES[value.type] if isinstance(value, Chunk) else None,
)
def test_out_of_the_blue(chunk: Chunk, tag: int, answer: tuple[int, int, int] | None) -> None:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    prober = network[1].sockets("a").sctp.open()
    source = network[1].sockets("a").source_for(0x0AF40203)
    prober.transmit(source, 0x0AF40203, SCTP, Sctp(1000, 9, tag, (chunk,)).build())
    network.run(SECOND)
    replies = []
    for frame in network.frames:
        found = inner(frame)
        if found is not None and found[0].source == 0x0AF40203:
            reply = found[1]
            replies.append((reply.chunks[0].type, reply.chunks[0].flags, reply.verification_tag))
    assert replies == ([] if answer is None else [answer])


def tracked(network: Network) -> str:
    """What `conntrack -L -p sctp` prints on the first node."""
    return "\n".join(line for line in conntrack_list(network[1].kernel.root).splitlines() if line.startswith("sctp"))


@pytest.mark.parametrize("cached", [True, False])
def test_a_service_translates_and_tracks_associations(cached: bool) -> None:
    network = Network(cached=cached)
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    listener = network[2].sockets("c").sctp.listen(("", 7777))
    network[1].do(
        m.IptablesRestore(
            text="*nat\n-A PREROUTING -d 10.96.0.5/32 -p sctp -m sctp --dport 38412 -j DNAT "
            "--to-destination 10.244.2.3:7777\nCOMMIT\n"
        )
    )
    client = network[1].sockets("a").sctp.open()
    client.connect(("10.96.0.5", 38412))
    network.run(SECOND)
    server = listener.accept()
    assert server is not None
    assert exchange(network, client, server, [(b"hello", 0)]) == [(b"hello", 0)]
    port = client.local[1]
    assert tracked(network) == (
        f"sctp     132 209 ESTABLISHED src=10.244.1.5 dst=10.96.0.5 sport={port} dport=38412 "
        f"src=10.244.2.3 dst=10.244.1.5 sport=7777 dport={port} [ASSURED] mark=0 use=1"
    )
    client.close()
    network.run(SECOND)
    assert tracked(network).startswith("sctp     132 9 CLOSED src")
    network.run(10 * SECOND)
    assert tracked(network) == ""


CHUNK = st.builds(
    Chunk,
    st.sampled_from([*sctp.NAMES, 63, 128, 192, 255]),
    st.integers(0, 7),
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            Init,
            *[st.integers(0, 3)] * 5,
            st.sampled_from([(), ((7, b"cook"),), ((5, b"addr"), (7, b""))]),
        ).map(Init.build),
        st.binary(min_size=13, max_size=30),
    ),
)


@settings(max_examples=60, deadline=None)
@given(packets=st.lists(st.tuples(st.booleans(), st.lists(CHUNK, min_size=1, max_size=4)), max_size=6))
def test_strange_packets_are_dropped_or_answered(packets: list[tuple[bool, list[Chunk]]]) -> None:
    """Some with the tag that the association must believe; it lives or dies, and the listener goes on."""
    network, client, server = opened()
    for knows, chunks_ in packets:
        tag = client.own_tag if knows else 77
        packet = Sctp(SERVER[1], client.local[1], tag, tuple(chunks_))
        server.transmit(server.local[0], client.local[0], SCTP, packet.build())
        network.run(SECOND)
    network.run(700 * SECOND)
    again = network[1].sockets("a").sctp.open()
    again.connect(SERVER)
    network.run(SECOND)
    assert again.state == "ESTABLISHED"
