"""TLS on the emulated network's connections: OpenSSL over memory (ssl.MemoryBIO), the bytes over our own TCP.

OpenSSL draws its keys from the operating system, so that what is sent differs from run to run: a simulation, which must
not, refuses TLS.
"""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podwire.services.chassis.clock import Clock
from podwire.services.chassis.simulation.loop import SimulatedClock
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process_clock import clock_of_machine

_RECORD: Final = 65536
_UNKNOWN_ISSUER: Final = (18, 19, 20, 21)
"""OpenSSL's numbers for a chain that ends at nobody we trust."""
_WRONG_NAME: Final = (62, 64)
_PLAIN_HTTP: Final = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"HTTP/")
"""What a record header is no TLS but HTTP by (Go's net/http, tlsRecordHeaderLooksLikeHTTP)."""


class TlsFailure(Exception):
    """A handshake that failed. `kind` is `issuer`, `name`, `certificate`, `protocol`, `trust`, `simulation`, or `http`
    if the other side speaks plain HTTP."""

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


def server_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """A server's settings from its certificate (with those above it) and key, both PEM. OpenSSL takes them from files
    only, which nobody else can read and which are gone afterwards. Raises TlsFailure."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "certificate"), Path(folder, "key")
        files[0].write_bytes(certificate)
        files[1].write_bytes(key)
        try:
            context.load_cert_chain(*files, password="")
        except (ssl.SSLError, ValueError) as error:
            reason = (getattr(error, "reason", None) or "no PEM").lower().replace("_", " ")
            raise TlsFailure("certificate", reason) from None
    return context


class TlsStream:
    """A TLS connection as a stream of bytes."""

    def __init__(self, stream: TcpStream, context: ssl.SSLContext, host: str = "", *, server: bool = False) -> None:
        self.stream = stream
        self._first = b""
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
                if self._first.startswith(_PLAIN_HTTP):
                    raise TlsFailure("http", "the other side speaks plain HTTP") from None
                raise TlsFailure("protocol", (error.reason or "handshake failure").lower().replace("_", " ")) from None
            await self._flush()
            return

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self.stream.write(data)

    async def _fill(self) -> None:
        data = await self.stream.read()
        if len(self._first) < len(_PLAIN_HTTP[0]):
            self._first += data[: len(_PLAIN_HTTP[0])]
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

    def finish(self) -> None:
        """Half-closes the connection beneath."""
        self.stream.finish()

    def close(self) -> None:
        """Closes the connection beneath."""
        self.stream.close()

    def version(self) -> str:
        """Protocol and cipher, as curl prints them."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} / {cipher[0] if cipher else 'none'}"


def _kind(code: int) -> str:
    return "issuer" if code in _UNKNOWN_ISSUER else "name" if code in _WRONG_NAME else "certificate"


def refuse_in_simulation(clock: Clock) -> None:
    """Raises TlsFailure where what is random must not be."""
    if isinstance(clock_of_machine(clock), SimulatedClock):
        raise TlsFailure("simulation", "TLS is not built for simulations: its random bytes would differ in every run")


async def open_tls(stream: TcpStream, host: str, trust: Trust, clock: Clock) -> TlsStream:
    """TLS to `host` over a connection; whatever happens, the caller closes that. Raises TlsFailure, OSError."""
    refuse_in_simulation(clock)
    tls = TlsStream(stream, client_context(trust), host)
    await tls.handshake()
    return tls


async def accept_tls(stream: TcpStream, context: ssl.SSLContext, clock: Clock) -> TlsStream:
    """TLS with a client that has connected; whatever happens, the caller closes that. Raises TlsFailure, OSError."""
    refuse_in_simulation(clock)
    tls = TlsStream(stream, context, server=True)
    await tls.handshake()
    return tls
