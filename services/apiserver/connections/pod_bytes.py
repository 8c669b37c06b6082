"""A pod's port as a channel of bytes, plain or by TLS: what requests are passed on over.

Source: kubernetes `pkg/controlplane` (the proxy's transport believes every certificate: InsecureSkipVerify).
"""

import ssl

from podwire.proto.messages.kubelet import Data, Exit, StreamError
from podwire.services.apiserver.connections.channels import ByteChannel
from podwire.services.apiserver.core.errors import ApiError, unavailable
from podwire.services.apiserver.sessions import Session


def unreachable(why: str) -> ApiError:
    """503, in the words of the proxy."""
    return unavailable(f"error trying to reach service: {why}")


class PodChannel:
    """An open session's bytes. Raises ApiError 503 when it breaks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(self) -> bytes:
        frame = await self._session.receive()
        if isinstance(frame, Data):
            return frame.data
        if isinstance(frame, StreamError) or (isinstance(frame, Exit) and frame.message):
            raise unreachable(frame.message)
        return b""

    async def write(self, data: bytes) -> None:
        await self._session.send_input(data)

    async def close(self) -> None:
        """The session is closed by whoever opened it."""


class SecureChannel:
    """TLS over another channel: OpenSSL over memory. `handshake` first."""

    def __init__(self, channel: ByteChannel) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        self._channel = channel
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._first = b""

    async def handshake(self) -> None:
        """Agrees with the pod. Raises ApiError 503."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError as error:
                is_plain = self._first.startswith(b"HTTP/")
                reason = (error.reason or "handshake failure").lower().replace("_", " ")
                text = "http: server gave HTTP response to HTTPS client" if is_plain else f"tls: {reason}"
                raise unreachable(text) from None
            else:
                return await self._flush()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._channel.write(data)

    async def _fill(self) -> None:
        data = await self._channel.read()
        self._first = self._first or data
        self._incoming.write(data) if data else self._incoming.write_eof()

    async def read(self) -> bytes:
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise unreachable(f"tls: {error.reason or error}") from None

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
            await self._flush()

    async def close(self) -> None:
        await self._channel.close()
