"""Probes from the machine's own network, as the kubelet makes them (pkg/probe/{http,tcp,grpc})."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import h11

from podwire.proto.kube.families import host_port
from podwire.proto.messages.runtime import ProbePod, ProbeResult
from podwire.services.chassis.clock import Clock
from podwire.services.node.network.sockets import Network, TcpStream
from podwire.services.node.network.tls import TlsFailure, TlsStream, Trust, open_tls
from podwire.services.node.runtime.grpc_health import HealthCheck

_MOST: Final = 10 * 1024
_MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PORTS: Final = {"http": 80, "https": 443}
_HTTP_ANSWER: Final = "http: server gave HTTP response to HTTPS client"
_ANYBODY: Final = Trust(verify=False)
"""The kubelet does not ask whose a certificate is (pkg/probe/http, InsecureSkipVerify)."""


async def probe(network: Network, call: ProbePod, clock: Clock) -> ProbeResult:
    """The probe's result; whatever goes wrong is a failure with the reason as output."""
    place = host_port(call.address, call.port)
    try:
        async with asyncio.timeout(call.timeout):
            if call.kind in ("http", "https"):
                return await _follow(network, call, clock)
            async with _connection(network, call.address, call.port) as stream:
                return (
                    ProbeResult(success=True, output="") if call.kind == "tcp" else await _health(stream, call, place)
                )
    except TimeoutError:
        return ProbeResult(success=False, output=_timeout_text(call, place))
    except TlsFailure as failure:
        return ProbeResult(success=False, output=f'Get "{call.kind}://{place}{call.path}": {_tls_text(failure)}')
    except (OSError, h11.RemoteProtocolError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        return ProbeResult(success=False, output=_error_text(call, place, reason))


@asynccontextmanager
async def _connection(network: Network, address: str, port: int) -> AsyncIterator[TcpStream]:
    stream = await network.connect((address, port))
    try:
        yield stream
    finally:
        stream.close()


async def _follow(network: Network, call: ProbePod, clock: Clock) -> ProbeResult:
    """Redirects to the same host are followed, ten at most; those to another count as they are (pkg/probe/http)."""
    scheme, port, path = str(call.kind), call.port, call.path or "/"
    for _ in range(_MOST_REDIRECTS):
        async with _connection(network, call.address, port) as plain:
            stream = await open_tls(plain, "", _ANYBODY, clock) if scheme == "https" else plain
            answer = await _get(stream, call, path, host_port(call.address, port))
        if answer.status not in _REDIRECTS:
            return answer.verdict()
        target = urlsplit(urljoin(f"{scheme}://{host_port(call.address, port)}{path}", answer.location))
        if target.hostname != call.address or target.scheme not in _PORTS:
            return answer.verdict()
        scheme, port = target.scheme, target.port or _PORTS[target.scheme]
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    text = f'Get "{path}": stopped after {_MOST_REDIRECTS} redirects'
    return ProbeResult(success=False, output=text)


def _tls_text(failure: TlsFailure) -> str:
    return _HTTP_ANSWER if failure.kind == "http" else f"tls: {failure}"


def _timeout_text(call: ProbePod, place: str) -> str:
    if call.kind in _PORTS:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{call.kind}://{place}{call.path}": {why}'
    if call.kind == "grpc":
        return f'timeout: failed to connect service "{place}" within {call.timeout:g}s'
    return f"dial tcp {place}: i/o timeout"


def _error_text(call: ProbePod, place: str, reason: str) -> str:
    text = f"dial tcp {place}: connect: {reason}"
    if call.kind in _PORTS:
        return f'Get "{call.kind}://{place}{call.path}": {text}'
    return (
        f'timeout: failed to connect service "{place}" within {call.timeout:g}s: {text}'
        if call.kind == "grpc"
        else text
    )


async def _health(stream: TcpStream, call: ProbePod, place: str) -> ProbeResult:
    check = HealthCheck(place, call.service, call.timeout)
    await stream.write(check.to_send())
    while check.result is None:
        check.receive(await stream.read())
        await stream.write(check.to_send())
    return check.result


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str
    body: bytes

    def verdict(self) -> ProbeResult:
        if 200 <= self.status < 400:
            return ProbeResult(success=True, output=self.body.decode(errors="replace"))
        return ProbeResult(success=False, output=f"HTTP probe failed with statuscode: {self.status}")


async def _get(stream: TcpStream | TlsStream, call: ProbePod, path: str, place: str) -> _Answer:
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=path, headers=_headers(call, place))
    await stream.write((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, location, body = 0, "", b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
            location = next((value.decode("latin-1") for name, value in event.headers if name == b"location"), "")
        elif isinstance(event, h11.Data):
            body = (body + event.data)[:_MOST]
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return _Answer(status, location, body)


def _headers(call: ProbePod, place: str) -> list[tuple[str, str]]:
    """The kubelet's headers, unless the probe sets them (pkg/probe/http/request.go); an empty Accept sends none."""
    given = {name.lower() for name, _ in call.headers}
    usual = [("Host", call.host or place), ("User-Agent", "kube-probe/1.33"), ("Accept", "*/*")]
    kept = [entry for entry in call.headers if entry[1] or entry[0].lower() != "accept"]
    return [entry for entry in usual if entry[0].lower() not in given] + kept + [("Connection", "close")]
