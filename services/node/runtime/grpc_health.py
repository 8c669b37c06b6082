"""One gRPC health check over HTTP/2, bytes in and bytes out (grpc.health.v1.Health/Check).

Source: kubernetes `pkg/probe/grpc/grpc.go`; gRPC over HTTP/2 (`doc/PROTOCOL-HTTP2.md` of grpc/grpc).
"""

import struct
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from podwire.proto.messages.runtime import ProbeResult

_STATUSES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_UNIMPLEMENTED: Final = "12"
_DEADLINE_EXCEEDED: Final = "4"
_LARGEST: Final = 64 * 1024
_FAILED: Final = ProbeResult(success=False, output="error: health rpc probe failed")


def _request(service: str) -> bytes:
    """A HealthCheckRequest in gRPC's framing: field 1 is the service's name; the empty name is left out."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return struct.pack(">BI", 0, len(message)) + message


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


class HealthCheck:
    """A conversation with one server. `result` is None until it is known."""

    def __init__(self, authority: str, service: str, timeout: float) -> None:
        self.result: ProbeResult | None = None
        self._timeout = timeout
        self._connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._headers: dict[str, str] = {}
        self._body = b""
        self._connection.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("user-agent", "kube-probe/1.33"),
            ("te", "trailers"),
        ]
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, headers)
        self._connection.send_data(stream, _request(service), end_stream=True)

    def to_send(self) -> bytes:
        """What has to be written now."""
        return self._connection.data_to_send()

    def receive(self, data: bytes) -> None:
        """Takes what the server sent; b"" is its end."""
        if not data:
            self.result = self.result or _FAILED
            return
        try:
            events = self._connection.receive_data(data)
        except ProtocolError:
            self.result = _FAILED
            return
        for event in events:
            if isinstance(event, ResponseReceived | TrailersReceived):
                self._headers |= {str(name): str(value) for name, value in event.headers}
            elif isinstance(event, DataReceived):
                self._take(event)
            elif isinstance(event, StreamEnded):
                self.result = self._verdict()
            elif isinstance(event, StreamReset | ConnectionTerminated):
                self.result = self.result or _FAILED

    def _take(self, event: DataReceived) -> None:
        self._body += event.data or b""
        if len(self._body) > _LARGEST:
            self.result = _FAILED
        elif event.flow_controlled_length:
            self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)

    def _verdict(self) -> ProbeResult:
        code, said = self._headers.get("grpc-status", ""), self._headers.get("grpc-message", "")
        if code == _UNIMPLEMENTED:
            text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return ProbeResult(success=False, output=f"{text}: {said}")
        if code == _DEADLINE_EXCEEDED:
            return ProbeResult(success=False, output=f"timeout: health rpc did not complete within {self._timeout:g}s")
        if code != "0":
            return _FAILED
        status = _status(self._body)
        if status == "SERVING":
            return ProbeResult(success=True, output="service healthy")
        return ProbeResult(success=False, output=f'service unhealthy (responded with "{status}")')


def _status(body: bytes) -> str:
    """The status of a HealthCheckResponse: field 1, an enumeration of one byte; left out for 0."""
    message = body[5:]
    number = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return _STATUSES[number] if number < len(_STATUSES) else str(number)
