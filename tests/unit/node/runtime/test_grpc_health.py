"""gRPC health checks, against a server made of h2's own server side."""

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from podwire.services.node.runtime.grpc_health import HealthCheck


class Server:
    """Answers one call with a body and trailers; keeps what it was asked."""

    def __init__(self, body: bytes, trailers: list[tuple[str, str]]) -> None:
        self.path, self.asked = "", b""
        self._body, self._trailers = body, trailers
        self._connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._connection.initiate_connection()

    def answer(self, data: bytes) -> bytes:
        for event in self._connection.receive_data(data):
            if isinstance(event, RequestReceived):
                self.path = str(dict(event.headers)[":path"])
            elif isinstance(event, DataReceived):
                self.asked += event.data or b""
            elif isinstance(event, StreamEnded):
                self._respond(event.stream_id or 0)
        return self._connection.data_to_send()

    def _respond(self, stream: int) -> None:
        self._connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        self._connection.send_data(stream, self._body)
        self._connection.send_headers(stream, self._trailers, end_stream=True)


OK = [("grpc-status", "0")]


@pytest.mark.parametrize(
    ("body", "trailers", "success", "output"),
    [
        (b"\0\0\0\0\x02\x08\x01", OK, True, "service healthy"),
        (b"\0\0\0\0\x02\x08\x02", OK, False, 'service unhealthy (responded with "NOT_SERVING")'),
        (b"\0\0\0\0\0", OK, False, 'service unhealthy (responded with "UNKNOWN")'),
        (b"", [("grpc-status", "5")], False, "error: health rpc probe failed"),
        (
            b"",
            [("grpc-status", "12"), ("grpc-message", "unknown service")],
            False,
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service",
        ),
        (b"", [("grpc-status", "4")], False, "timeout: health rpc did not complete within 2s"),
    ],
)
def test_a_check(body: bytes, trailers: list[tuple[str, str]], success: bool, output: str) -> None:
    check, server = HealthCheck("10.244.1.2:5000", "liveness", 2.0), Server(body, trailers)
    for _ in range(4):
        check.receive(server.answer(check.to_send()) or b"\0\0\0\x04\0\0\0\0\0")
    assert check.result is not None
    assert (check.result.success, check.result.output) == (success, output)
    assert (server.path, server.asked) == ("/grpc.health.v1.Health/Check", b"\0\0\0\0\x0a\x0a\x08liveness")


@given(st.lists(st.binary(max_size=64), max_size=4))
def test_noise_ends_in_a_failure(pieces: list[bytes]) -> None:
    check = HealthCheck("10.244.1.2:5000", "", 1.0)
    for piece in [*pieces, b""]:
        if check.result is None:
            check.receive(piece)
    assert check.result is not None and not check.result.success
