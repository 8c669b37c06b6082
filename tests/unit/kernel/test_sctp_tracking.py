"""SCTP in netfilter: how connection tracking follows an association, NAT's checksums, and `-m sctp`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topology import Network

from podwire.proto.messages import kernel as m
from podwire.proto.packet import sctp
from podwire.proto.packet.ipv4 import SCTP, build_packet
from podwire.proto.packet.sctp import Chunk, Data, Init, Sctp
from podwire.services.node.kernel.conntrack import sctp as tracking
from podwire.services.node.kernel.conntrack.entry import ORIGINAL, REPLY
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.packet import Packet
from podwire.services.node.kernel.printing.iptables import iptables_list, iptables_rules

CLIENT, SERVER = 11, 22
INIT = Chunk(sctp.INIT, 0, Init(CLIENT, 1, 1, 1, 1).build())
INIT_ACK = Chunk(sctp.INIT_ACK, 0, Init(SERVER, 1, 1, 1, 1, ((7, b"cook"),)).build())
ECHO, COOKIE_ACK = Chunk(sctp.COOKIE_ECHO, 0, b"cook"), Chunk(sctp.COOKIE_ACK)
DATA = Data(3, 1, 0, 0, 0, b"x").chunk()
SHUTDOWN, COMPLETE = Chunk(sctp.SHUTDOWN, 0, bytes(4)), Chunk(sctp.SHUTDOWN_COMPLETE)
SHUTDOWN_ACK, ABORT = Chunk(sctp.SHUTDOWN_ACK), Chunk(sctp.ABORT)
HEARTBEAT, HEARTBEAT_ACK = Chunk(sctp.HEARTBEAT), Chunk(sctp.HEARTBEAT_ACK)
SETUP = [(ORIGINAL, 0, INIT), (REPLY, CLIENT, INIT_ACK), (ORIGINAL, SERVER, ECHO), (REPLY, CLIENT, COOKIE_ACK)]


def follow(packets: list[tuple[int, int, Chunk]]) -> list[str]:
    """The state after each packet (direction, tag, chunk), INVALID for those that change nothing."""
    said: list[str] = []
    entry: tracking.Tracking | None = None
    for direction, tag, chunk in packets:
        read = tracking.read(memoryview(Sctp(1, 2, tag, (chunk,)).build()))
        assert read is not None
        if entry is None:
            entry = tracking.begin(read)
            said.append("INVALID" if entry is None else entry.state)
        else:
            said.append(entry.state if tracking.advance(entry, read, direction) else "INVALID")
    return said


@pytest.mark.parametrize(
    ("packets", "states"),
    [
        (SETUP, ["CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED"]),
        ([*SETUP, (ORIGINAL, SERVER, DATA), (REPLY, CLIENT, DATA)], [*["?"] * 4, "ESTABLISHED", "ESTABLISHED"]),
        (
            [*SETUP, (ORIGINAL, SERVER, SHUTDOWN), (REPLY, CLIENT, SHUTDOWN_ACK), (ORIGINAL, SERVER, COMPLETE)],
            [*["?"] * 4, "SHUTDOWN_SENT", "SHUTDOWN_ACK_SENT", "CLOSED"],
        ),
        ([*SETUP, (REPLY, CLIENT, SHUTDOWN)], [*["?"] * 4, "SHUTDOWN_RECD"]),
        ([*SETUP, (REPLY, CLIENT, ABORT)], [*["?"] * 4, "CLOSED"]),
        ([*SETUP, (REPLY, SERVER, Chunk(sctp.ABORT, 1))], [*["?"] * 4, "CLOSED"]),
        # who does not know the tag may say nothing
        ([*SETUP, (REPLY, 99, ABORT), (REPLY, 99, DATA), (ORIGINAL, CLIENT, DATA)], [*["?"] * 4, *["INVALID"] * 3]),
        ([(ORIGINAL, 5, INIT)], ["INVALID"]),
        ([(ORIGINAL, 5, ABORT)], ["INVALID"]),
        ([(ORIGINAL, 5, COOKIE_ACK)], ["INVALID"]),
        ([(ORIGINAL, 5, DATA)], ["INVALID"]),
        ([(ORIGINAL, 5, HEARTBEAT), (REPLY, 6, HEARTBEAT_ACK)], ["HEARTBEAT_SENT", "ESTABLISHED"]),
        ([(ORIGINAL, 0, INIT), (REPLY, CLIENT, ABORT)], ["CLOSED", "CLOSED"]),
    ],
)
def test_states(packets: list[tuple[int, int, Chunk]], states: list[str]) -> None:
    assert [each for each, wanted in zip(follow(packets), states, strict=True) if wanted != "?"] == [
        wanted for wanted in states if wanted != "?"
    ]


@pytest.mark.parametrize("chunks", [(DATA, INIT), (INIT, DATA), (DATA, COOKIE_ACK), (DATA, COMPLETE)])
def test_chunks_that_may_not_stand_together(chunks: tuple[Chunk, ...]) -> None:
    assert tracking.read(memoryview(Sctp(1, 2, 3, chunks).build())) is None


@given(
    addresses=st.tuples(*[st.integers(1, 2**32 - 2)] * 4),
    ports=st.tuples(*[st.integers(1, 65535)] * 4),
    payload=st.binary(min_size=1, max_size=40),
)
def test_a_translated_packet_has_the_right_checksums(
    addresses: tuple[int, ...], ports: tuple[int, ...], payload: bytes
) -> None:
    body = Sctp(ports[0], ports[1], 7, (Data(3, 1, 0, 0, 0, payload).chunk(),))
    packet = Packet(build_packet(addresses[0], addresses[1], SCTP, body.build()))
    assert packet.parse() is None
    packet.set_source(addresses[2], ports[2])
    packet.set_destination(addresses[3], ports[3])
    again = Packet(packet.data)
    assert again.parse() is None
    assert Sctp.parse(again.payload) == body._replace(source_port=ports[2], destination_port=ports[3])


@pytest.mark.parametrize(("flipped", "state"), [(0, "NEW"), (1, "INVALID")])
def test_a_wrong_checksum_from_outside_is_invalid(flipped: int, state: str) -> None:
    network = Network(1)
    node = network[1]
    rule = ("-t", "mangle", "-A", "PREROUTING", "-p", "sctp", "-m", "conntrack", "--ctstate", state)
    node.do(m.IptablesCommand(arguments=rule))
    body = bytearray(Sctp(1, 2, 0, (INIT,)).build())
    body[8] ^= flipped
    frame = bytes.fromhex(node.mac.replace(":", "")) + b"\x02" * 6 + b"\x08\x00"
    node.kernel.receive("eth0", frame + build_packet(0x0A000009, 0x0A000001, SCTP, bytes(body)), 0)
    assert node.kernel.root.netfilter.tables["mangle"].chains["PREROUTING"].rules[0].counter.packets == 1


RULES = {
    "-p sctp --dport 80 -j ACCEPT": ("-p sctp -m sctp --dport 80 -j ACCEPT", "sctp dpt:80"),
    "-p sctp -m sctp --sport 5:6 --chunk-types only ALL": (
        "-p sctp -m sctp --sport 5:6 --chunk-types only ALL",
        "sctp spts:5:6 only ALL",
    ),
    "-p sctp -m sctp ! --chunk-types any INIT,DATA,COOKIE_ACK": (
        "-p sctp -m sctp ! --chunk-types any DATA,INIT,COOKIE_ACK",
        "sctp ! any 0x0000,0x0001,0x000B",
    ),
    "-p sctp -m sctp --chunk-types all NONE": ("-p sctp -m sctp --chunk-types all NONE", "sctp all NONE"),
    "-p sctp -m multiport --dports 1,2": ("-p sctp -m multiport --dports 1,2", "multiport dports 1,2"),
}


@pytest.mark.parametrize(("rule", "printed"), RULES.items())
def test_rules_print_as_iptables_prints_them(rule: str, printed: tuple[str, str]) -> None:
    node = Network(1)[1]
    node.do(m.IptablesCommand(arguments=("-A", "INPUT", *rule.split())))
    table = node.kernel.root.netfilter.tables["filter"]
    assert iptables_rules(table, "INPUT").splitlines()[1] == f"-A INPUT {printed[0]}"
    assert iptables_list(table, "INPUT").splitlines()[2].split("0.0.0.0/0")[-1].strip() == printed[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("some INIT", 'Match type has to be one of "ALL", "ANY" or "ONLY"'),
        ("any FOO", "Unknown sctp chunk `FOO'"),
        ("any DATA:Be", "chunk flags .* not built"),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    arguments = ("-A", "INPUT", "-p", "sctp", "-m", "sctp", "--chunk-types", *words.split())
    with pytest.raises(KernelError, match=message):
        Network(1)[1].do(m.IptablesCommand(arguments=arguments))


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ("--dport 7777", 1),
        ("--dport 7778", 0),
        ("--chunk-types any INIT,ABORT", 1),
        ("--chunk-types all INIT,ABORT", 0),
        ("--chunk-types only INIT", 1),
        ("! --chunk-types only INIT", 0),
        ("-m multiport --dports 1,7777", 1),
    ],
)
def test_matches(rule: str, hits: int) -> None:
    network = Network()
    network[1].pod("a", 5)
    network[1].do(m.IptablesCommand(arguments=("-A", "FORWARD", "-p", "sctp", "-m", "sctp", *rule.split())))
    network[1].sockets("a").sctp.open().connect(("10.244.2.3", 7777))
    network.settle()
    table = network[1].kernel.root.netfilter.tables["filter"]
    assert table.chains["FORWARD"].rules[0].counter.packets == hits
