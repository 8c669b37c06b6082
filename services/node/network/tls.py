"""TLS on the emulated network's connections: OpenSSL over memory (ssl.MemoryBIO), the bytes over our own TCP.

OpenSSL draws its keys from the operating system, so that what is sent differs from run to run: a simulation, which must
not, refuses TLS.
"""

import ssl
from dataclasses import dataclass
from typing import Final

from podwire.services.chassis.clock import Clock
from podwire.services.chassis.simulation.loop import SimulatedClock
from podwire.services.node.network.sockets import TcpStream

_RECORD: Final = 65536
_UNKNOWN_ISSUER: Final = (18, 19, 20, 21)
"""OpenSSL's numbers for a chain that ends at nobody we trust."""
_WRONG_NAME: Final = (62, 64)


class TlsFailure(Exception):
    """A handshake that failed. `kind` is `issuer`, `name`, `certificate`, `protocol`, `trust` or `simulation`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: PEM certificates, or everybody (`verify` false)."""

    certificates: str = ""
    verify: bool = True


def client_context(trust: Trust) -> ssl.SSLContext:
    """A client's settings. Raises TlsFailure for certificates that are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.certificates:
        try:
            context.load_verify_locations(cadata=trust.certificates)
        except (ssl.SSLError, ValueError):
            raise TlsFailure("trust", "no certificate in the file") from None
    return context


class TlsStream:
    """A TLS connection as a stream of bytes."""

    def __init__(self, stream: TcpStream, context: ssl.SSLContext, host: str = "", *, server: bool = False) -> None:
        self.stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=host or None)

    async def handshake(self) -> None:
        """Agrees with the other side. Raises TlsFailure and OSError."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                continue
            except ssl.SSLCertVerificationError as error:
                await self._flush()
                raise TlsFailure(_kind(error.verify_code), error.verify_message) from None
            except ssl.SSLError as error:
                await self._flush()
                raise TlsFailure("protocol", (error.reason or "handshake failure").lower().replace("_", " ")) from None
            await self._flush()
            return

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.stream.write(data)

    async def _fill(self) -> None:
        data = await self.stream.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def read(self, limit: int = _RECORD) -> bytes:
        """Some bytes, b"" at the end. Raises OSError (ECONNRESET for a broken record)."""
        while True:
            try:
                return self._tls.read(limit)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise ConnectionResetError(104, f"TLS: {error.reason or error}") from None

    async def write(self, data: bytes) -> None:
        """Returns when the kernel has taken all bytes. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
            await self._flush()

    def close(self) -> None:
        """Closes the connection beneath."""
        self.stream.close()

    def version(self) -> str:
        """Protocol and cipher, as curl prints them."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} / {cipher[0] if cipher else 'none'}"


def _kind(code: int) -> str:
    return "issuer" if code in _UNKNOWN_ISSUER else "name" if code in _WRONG_NAME else "certificate"


async def open_tls(stream: TcpStream, host: str, trust: Trust, clock: Clock) -> TlsStream:
    """TLS to `host` over a connection; whatever happens, the caller closes that. Raises TlsFailure, OSError."""
    if isinstance(clock, SimulatedClock):
        raise TlsFailure("simulation", "TLS is not built for simulations: its random bytes would differ in every run")
    tls = TlsStream(stream, client_context(trust), host)
    await tls.handshake()
    return tls
