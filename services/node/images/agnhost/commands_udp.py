"""The commands that netexec's UDP server answers (netexec.go, startUDPServer)."""

from podwire.services.node.images.agnhost.go import join, log
from podwire.services.node.network.sockets import EVERYWHERE, Endpoint
from podwire.services.node.process import Process


async def serve(process: Process, port: int, address: str = EVERYWHERE) -> None:
    """Answers `hostname`, `echo TEXT` and `clientip` until cancelled. Raises OSError (EADDRINUSE)."""
    channel = process.network.open_udp(port, address)
    shown = "" if address == EVERYWHERE else address
    await log(process, f"Started UDP server on port {shown} {port}")
    try:
        while True:
            try:
                datagram = await channel.receive()
                reply = await _reply(process, datagram.payload[:2048].decode(errors="replace"), datagram.source)
                if reply is not None:
                    channel.send(reply.encode(), datagram.source)
            except OSError:
                continue
    finally:
        channel.close()


async def _reply(process: Process, text: str, source: Endpoint) -> str | None:
    """The answer, None where there is none."""
    text = text.strip().lower()
    if text == "hostname":
        await log(process, "Sending udp hostName response")
        return process.hostname
    if text.startswith("echo "):
        await log(process, f"Echoing {text[5:]} to UDP client {join(source)}\n")
        return text[5:]
    if text == "clientip":
        await log(process, f"Sending clientip back to UDP client {join(source)}\n")
        return join(source)
    if text:
        await log(process, f"Unknown UDP command received from {join(source)}: {text}\n")
    return None
