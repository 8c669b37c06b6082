"""SCTP packets: scapy reads what we build and builds what we read; lies are refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.sctp import (
    SCTP,
    SCTPChunkAbort,
    SCTPChunkCookieAck,
    SCTPChunkCookieEcho,
    SCTPChunkData,
    SCTPChunkHeartbeatReq,
    SCTPChunkInit,
    SCTPChunkInitAck,
    SCTPChunkParamHeartbeatInfo,
    SCTPChunkParamStateCookie,
    SCTPChunkSACK,
    SCTPChunkShutdown,
    SCTPChunkShutdownAck,
    SCTPChunkShutdownComplete,
)

from podwire.proto.packet import sctp
from podwire.proto.packet.crc32c import crc32c
from podwire.proto.packet.errors import PacketError
from podwire.proto.packet.sctp import Chunk, Data, Init, Sack, Sctp, build_parameter

PORT, TAG = st.integers(1, 65535), st.integers(0, 2**32 - 1)
COOKIE = b"a state cookie, 4n long."
SIMPLE = {
    Chunk(sctp.COOKIE_ECHO, 0, COOKIE): SCTPChunkCookieEcho(cookie=COOKIE),
    Chunk(sctp.COOKIE_ACK): SCTPChunkCookieAck(),
    Chunk(sctp.SHUTDOWN, 0, (77).to_bytes(4)): SCTPChunkShutdown(cumul_tsn_ack=77),
    Chunk(sctp.SHUTDOWN_ACK): SCTPChunkShutdownAck(),
    Chunk(sctp.SHUTDOWN_COMPLETE, 1): SCTPChunkShutdownComplete(TCB=1),
    Chunk(sctp.ABORT, 1): SCTPChunkAbort(TCB=1),
    Chunk(sctp.HEARTBEAT, 0, build_parameter(1, b"when")): SCTPChunkHeartbeatReq(
        params=[SCTPChunkParamHeartbeatInfo(data=b"when")]
    ),
    Chunk(sctp.INIT, 0, Init(9, 65536, 10, 11, 12).build()): SCTPChunkInit(
        init_tag=9, a_rwnd=65536, n_out_streams=10, n_in_streams=11, init_tsn=12
    ),
    Chunk(sctp.INIT_ACK, 0, Init(9, 65536, 10, 11, 12, ((7, COOKIE),)).build()): SCTPChunkInitAck(
        init_tag=9,
        a_rwnd=65536,
        n_out_streams=10,
        n_in_streams=11,
        init_tsn=12,
        params=[SCTPChunkParamStateCookie(cookie=COOKIE)],
    ),
    Sack(5, 1000, ((2, 3), (5, 9)), (4,)).chunk(): SCTPChunkSACK(
        cumul_tsn_ack=5, a_rwnd=1000, n_gap_ack=2, n_dup_tsn=1, gap_ack_list=["2:3", "5:9"], dup_tsn_list=[4]
    ),
}


def test_crc32c_of_the_well_known_text() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize(("ours", "theirs"), SIMPLE.items(), ids=[sctp.NAMES[chunk.type] for chunk in SIMPLE])
def test_every_chunk_is_what_scapy_builds(ours: Chunk, theirs: object) -> None:
    packet = Sctp(1, 2, 3, (ours,))
    assert packet.build() == bytes(SCTP(sport=1, dport=2, tag=3) / theirs)
    assert Sctp.parse(packet.build()) == packet


@settings(max_examples=50)
@given(sport=PORT, dport=PORT, tag=TAG, tsn=TAG, stream=PORT, payload=st.binary(min_size=1, max_size=60))
def test_data(sport: int, dport: int, tag: int, tsn: int, stream: int, payload: bytes) -> None:
    data = Data(sctp.BEGINNING | sctp.ENDING, tsn, stream, 6, 0, payload)
    built = Sctp(sport, dport, tag, (data.chunk(),)).build()
    theirs = SCTPChunkData(beginning=1, ending=1, tsn=tsn, stream_id=stream, stream_seq=6, proto_id=0, data=payload)
    assert built == bytes(SCTP(sport=sport, dport=dport, tag=tag) / theirs)
    assert Data.parse(Sctp.parse(built).chunks[0]) == data


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(octets: bytes) -> None:
    try:
        packet = Sctp.parse(octets, verify=False)
    except PacketError:
        return
    for chunk in packet.chunks:
        for body in (Init, Sack):
            with contextlib.suppress(PacketError):
                body.parse(chunk.value)
        with contextlib.suppress(PacketError):
            Data.parse(chunk)


@given(at=st.integers(0, 39), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(at: int, bit: int) -> None:
    octets = bytearray(Sctp(1, 2, 3, (Chunk(sctp.COOKIE_ECHO, 0, COOKIE),)).build())
    octets[at] ^= 1 << bit
    with pytest.raises(PacketError):
        Sctp.parse(bytes(octets))
