"""SOCKS5 (RFC 1928), the server's side, byte by byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podwire.scripts.proxy.socks import Request, SocksError, SocksServer, reply

HELLO = b"\x05\x01\x00"


def connect(kind: int, place: bytes, port: int = 80, command: int = 1) -> bytes:
    return bytes((5, command, 0, kind)) + place + port.to_bytes(2)


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        (connect(1, b"\x0a\x60\x00\x0a"), Request("10.96.0.10", 80)),
        (connect(3, b"\x06my-api", 8080), Request("my-api", 8080)),
        (connect(4, bytes(15) + b"\x01", 443), Request("::1", 443)),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_conversation_in_pieces_of_any_size(message: bytes, request_: Request, size: int) -> None:
    server, sent = SocksServer(), b""
    data = HELLO + message + b"GET /"
    for at in range(0, len(data), size):
        sent += server.receive(data[at : at + size])
    assert (sent, server.request, server.rest) == (b"\x05\x00", request_, b"GET /")


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"\x04\x01\x00\x50", b""),
        (b"\x05\x01\x02", b"\x05\xff"),
        (HELLO + connect(1, bytes(4), command=2), reply(7)),
        (HELLO + connect(9, bytes(4)), reply(8)),
        (HELLO + connect(3, b"\x01\xff"), reply(8)),
        (HELLO + connect(3, b"\x00"), reply(1)),
        (HELLO + b"\x04\x01\x00\x01\x00", reply(1)),
    ],
)
def test_what_is_sent_away(data: bytes, answer: bytes) -> None:
    with pytest.raises(SocksError) as refused:
        SocksServer().receive(data)
    assert refused.value.answer == answer


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_served_or_sent_away(pieces: list[bytes]) -> None:
    server = SocksServer()
    try:
        for piece in pieces:
            server.receive(piece)
    except SocksError:
        return
    assert server.request is None or 0 <= server.request.port <= 65535


def test_is_name() -> None:
    assert [Request(host, 1).is_name for host in ("my-api", "10.0.0.1", "fd00::1")] == [True, False, False]
