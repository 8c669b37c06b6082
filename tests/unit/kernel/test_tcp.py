"""TCP under loss, reordering and time, on a virtual clock."""

import errno

import pytest
from topology import MILLISECOND, SECOND, Chance, Network

from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.sockets.tcp import TcpListener, TcpSocket

DATA = bytes(range(256)) * 600


def pair() -> tuple[Network, TcpListener, TcpSocket]:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    return network, network[2].sockets("c").listen_tcp(("", 80)), network[1].sockets("a").open_tcp()


def opened() -> tuple[Network, TcpSocket, TcpSocket]:
    network, listener, client = pair()
    client.connect(("10.244.2.3", 80))
    network.run(SECOND)
    server = listener.accept()
    assert server is not None
    return network, client, server


def transfer(network: Network, sender: TcpSocket, receiver: TcpSocket, data: bytes, limit: int) -> bytes:
    got, sent, end = b"", 0, network.now + limit
    while len(got) < len(data) and network.now < end:
        if sent < len(data):
            sent += sender.send(data[sent:])
        network.run(5 * MILLISECOND)
        got += receiver.receive(1 << 20) or b""
    return got


@pytest.mark.parametrize(("loss", "jitter"), [(0, 0), (0, 3), (30, 0), (100, 5)])
def test_every_byte_arrives_once_and_in_order(loss: int, jitter: int) -> None:
    """`loss` in thousandths, `jitter` in milliseconds."""
    network, client, server = opened()
    chance = Chance(3)

    def fate(frame: bytes) -> int | None:
        if chance.getrandbits(16) % 1000 < loss:
            return None
        return chance.getrandbits(16) % (jitter * MILLISECOND) if jitter else 0

    network.fate = fate
    assert transfer(network, client, server, DATA, 300 * SECOND) == DATA
    assert transfer(network, server, client, DATA[:50000], 300 * SECOND) == DATA[:50000]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_megabytes_through_a_bad_network() -> None:
    """5 % of the frames are lost, 5 % overtaken, 1 % come twice."""
    network, client, server = opened()
    chance = Chance(5)

    def percent() -> int:
        return chance.getrandbits(16) % 100

    def fate(_: bytes) -> int | None:
        return None if percent() < 5 else 3 * MILLISECOND if percent() < 5 else MILLISECOND

    network.fate, network.is_doubled = fate, lambda _: percent() < 1
    network.frames = Bin()
    data = DATA * 69
    assert len(data) > 10 * 1024 * 1024
    assert transfer(network, client, server, data, 24 * 3600 * SECOND) == data


class Bin(list[bytes]):
    """Frames that nobody will look at."""

    def append(self, frame: bytes) -> None:
        return None


def test_closing_takes_both_sides_and_ends_in_time_wait() -> None:
    network, client, server = opened()
    client.send(b"bye")
    client.shutdown()
    network.run(SECOND)
    assert (client.state, server.state) == ("FIN_WAIT_2", "CLOSE_WAIT")
    assert (server.receive(), server.receive()) == (b"bye", b"")
    server.send(b"still here")
    network.run(SECOND)
    assert client.receive() == b"still here"
    server.close()
    network.run(SECOND)
    assert (client.state, server.state) == ("TIME_WAIT", "CLOSED")
    assert client.receive() == b""
    network.run(60 * SECOND)
    assert client.state == "CLOSED"


def test_closing_at_once_from_both_sides() -> None:
    network, client, server = opened()
    client.close()
    server.close()
    network.run(SECOND)
    assert {client.state, server.state} <= {"TIME_WAIT", "CLOSED"}


def test_closing_with_unread_bytes_resets() -> None:
    network, client, server = opened()
    client.send(b"unread")
    network.run(SECOND)
    server.close()
    network.run(SECOND)
    with pytest.raises(KernelError) as caught:
        client.receive()
    assert caught.value.errno == errno.ECONNRESET


def test_a_full_receiver_closes_the_window_and_a_probe_opens_it() -> None:
    network, client, server = opened()
    taken = 0
    for _ in range(50):
        taken += client.send(bytes(65536)) if taken < 500_000 else 0
        network.run(100 * MILLISECOND)
    assert client._peer_window.size == 0
    assert len(server._incoming.ready) == 262_144
    network.fate = lambda _: None  # the window update is lost
    got = len(server.receive(1 << 20) or b"")
    network.settle()
    network.fate = lambda _: 0
    while got < taken:
        network.run(10 * SECOND)
        got += len(server.receive(1 << 20) or b"")
    assert got == taken


def test_syns_are_retried_six_times() -> None:
    network, _, client = pair()
    network.fate = lambda frame: 0 if frame[12:14] == b"\x08\x06" else None
    client.connect(("10.244.2.3", 80))
    network.run(126 * SECOND)
    assert client.state == "SYN_SENT"
    network.run(2 * SECOND)
    assert (client.state, client.error) == ("CLOSED", errno.ETIMEDOUT)
    assert len([frame for frame in network.frames if frame[12:14] == b"\x08\x00"]) == 7


def test_a_peer_that_vanishes_times_out() -> None:
    network, client, _ = opened()
    network.fate = lambda _: None
    client.send(b"anyone?")
    network.run(3600 * SECOND)
    assert (client.state, client.error) == ("CLOSED", errno.ETIMEDOUT)


def test_a_forgotten_connection_is_reset() -> None:
    network, client, server = opened()
    server.vanish()
    client.send(b"hello?")
    network.run(SECOND)
    assert client.error == errno.ECONNRESET


def test_the_backlog_is_bounded() -> None:
    network = Network()
    network[1].pod("a", 5)
    network[2].pod("c", 3)
    network[2].sockets("c").listen_tcp(("", 80), backlog=2)
    clients = [network[1].sockets("a").open_tcp() for _ in range(5)]
    for client in clients:
        client.connect(("10.244.2.3", 80))
    network.run(SECOND // 2)
    assert [client.state for client in clients].count("ESTABLISHED") == 3


def test_readiness_is_told() -> None:
    network, client, server = opened()
    told: list[str] = []
    server.on_ready = lambda: told.append("readable")
    client.send(b"x")
    network.run(SECOND)
    assert told


@pytest.mark.parametrize("port", [80, 0])
def test_ports(port: int) -> None:
    network = Network(1)
    sockets = network[1].sockets()
    listener = sockets.listen_tcp(("", port))
    assert listener.local_endpoint[1] == port or 32768 <= listener.local_endpoint[1] <= 60999
    with pytest.raises(KernelError) as caught:
        sockets.listen_tcp(("", listener.local_endpoint[1]))
    assert caught.value.errno == errno.EADDRINUSE
    listener.close()
    sockets.listen_tcp(("", listener.local_endpoint[1]))
    with pytest.raises(KernelError) as caught:
        sockets.listen_tcp(("192.0.2.1", 80))
    assert caught.value.errno == errno.EADDRNOTAVAIL
