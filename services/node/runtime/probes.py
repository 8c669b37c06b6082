"""Probes from the machine's own network, as the kubelet makes them (pkg/probe/http, pkg/probe/tcp)."""

import asyncio
from typing import Final

import h11

from podwire.proto.messages.runtime import ProbePod, ProbeResult
from podwire.services.node.network.sockets import Network, TcpStream

_MOST: Final = 10 * 1024


async def probe(network: Network, call: ProbePod) -> ProbeResult:
    """The probe's result; whatever goes wrong is a failure with the reason as output."""
    place = f"{call.address}:{call.port}"
    url = f"http://{place}{call.path}"
    try:
        async with asyncio.timeout(call.timeout):
            stream = await network.connect((call.address, call.port))
            try:
                if call.kind == "tcp":
                    return ProbeResult(success=True, output="")
                return await _get(stream, call, place)
            finally:
                stream.close()
    except TimeoutError:
        what = f'Get "{url}": context deadline exceeded' if call.kind == "http" else f"dial tcp {place}: i/o timeout"
        return ProbeResult(success=False, output=what)
    except (OSError, h11.RemoteProtocolError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        text = f"dial tcp {place}: connect: {reason.lower()}"
        return ProbeResult(success=False, output=f'Get "{url}": {text}' if call.kind == "http" else text)


async def _get(stream: TcpStream, call: ProbePod, place: str) -> ProbeResult:
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=call.path or "/", headers=_headers(call, place))
    await stream.write((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body = (body + event.data)[:_MOST]
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    if 200 <= status < 400:
        return ProbeResult(success=True, output=body.decode(errors="replace"))
    return ProbeResult(success=False, output=f"HTTP probe failed with statuscode: {status}")


def _headers(call: ProbePod, place: str) -> list[tuple[str, str]]:
    """The kubelet's headers, unless the probe sets them (pkg/probe/http/request.go); an empty Accept sends none."""
    given = {name.lower() for name, _ in call.headers}
    usual = [("Host", call.host or place), ("User-Agent", "kube-probe/1.33"), ("Accept", "*/*")]
    kept = [entry for entry in call.headers if entry[1] or entry[0].lower() != "accept"]
    return [entry for entry in usual if entry[0].lower() not in given] + kept + [("Connection", "close")]
