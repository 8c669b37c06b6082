"""The commands that netexec's SCTP server answers (netexec.go, startSCTPServer)."""

from podwire.services.node.images.agnhost.ending import Ending
from podwire.services.node.images.agnhost.go import error_text, join, log
from podwire.services.node.images.sctp_server import serve_sctp
from podwire.services.node.network.sctp import SctpChannel
from podwire.services.node.network.sockets import Endpoint
from podwire.services.node.process import Process


async def serve(process: Process, port: int, ending: Ending) -> None:
    """Answers `hostname`, `echo TEXT` and `clientip` until cancelled.

    A port that is taken ends the whole process, and a client that closes without a word does, as log.Fatalf does there.
    """

    async def attend(channel: SctpChannel) -> None:
        client = channel.socket.remote_endpoint or ("", 0)
        try:
            message = await channel.read()
            failure = "EOF" if message is None else ""
        except OSError as error:
            message, failure = None, error_text(error)
        if message is None:
            await log(process, f"Error occurred: failed to read from SCTP client {join(client)}:{failure}")
            return ending.ask(1)
        reply = await _reply(process, message.payload[:1024].decode(errors="replace"), client)
        if reply:
            await channel.write(reply.encode())
        return None

    await log(process, "Started SCTP server")
    try:
        await serve_sctp(process.network, port, attend)
    except OSError as error:
        failure = f"failed to create listener for SCTP address :{port}:{error_text(error)}"
        await log(process, f"Error occurred: {failure}")
        await ending.leave(1)


async def _reply(process: Process, text: str, source: Endpoint) -> str | None:
    text = text.strip().lower()
    if text == "hostname":
        await log(process, "Sending SCTP hostName response")
        return process.hostname
    if text.startswith("echo "):
        await log(process, f"Echoing {text[5:]} to SCTP client {join(source)}\n")
        return text[5:]
    if text == "clientip":
        await log(process, f"Sending clientip back to SCTP client {join(source)}\n")
        return join(source)
    if text:
        await log(process, f"Unknown SCTP command received from {join(source)}: {text}\n")
    return None
