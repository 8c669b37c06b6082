"""One HTTP/1.1 request on a connection, for curl and wget (RFC 9112, by h11)."""

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import h11

Headers = list[tuple[str, str]]
_MOST_HEADERS: Final = 100 * 1024


_PORTS: Final = {"http": 80, "https": 443}


class ByteStream(Protocol):
    """A connection: plain, or TLS."""

    async def read(self, limit: int = 65536) -> bytes:
        """Some bytes, b"" at the end. Raises OSError."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when all bytes are taken. Raises OSError."""
        ...


class BadUrl(ValueError):
    """Text that is no URL that can be fetched; `scheme` is set if only that is the reason."""

    def __init__(self, message: str, scheme: str = "") -> None:
        super().__init__(message)
        self.scheme = scheme


@dataclass(frozen=True, slots=True)
class Url:
    """A URL of the scheme http or https; `target` is what goes into the request line, `authority` into Host."""

    host: str
    port: int
    target: str
    user: str = ""
    scheme: str = "http"

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's, port."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _PORTS[self.scheme] else f"{shown}:{self.port}"

    @property
    def text(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str, base: Url | None = None) -> Url:
    """A URL, http if no scheme is given; relative to `base` if there is one. Raises BadUrl."""
    if base is not None and text.startswith("/") and not text.startswith("//"):
        return Url(base.host, base.port, _target(text), scheme=base.scheme)
    if base is not None and "://" not in text:
        folder = base.target.partition("?")[0].rpartition("/")[0]
        return Url(base.host, base.port, _target(f"{folder}/{text}"), scheme=base.scheme)
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower() if separator else "http"
    if scheme not in _PORTS:
        raise BadUrl(f"{scheme} is not http", scheme)
    try:
        parts = urlsplit(text if separator else f"http://{text}")
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise BadUrl("Port number was not a decimal number between 0 and 65535") from None
    host = parts.hostname or ""
    if not host:
        raise BadUrl("No host part in the URL")
    if any(letter.isspace() for letter in text) or not host.isascii():
        raise BadUrl("Malformed input to a URL function")
    user = parts.netloc.rpartition("@")[0]
    return Url(host, port, _target(parts.path + (f"?{parts.query}" if parts.query else "")), user, scheme)


def _target(text: str) -> str:
    target = text.partition("#")[0]
    return target if target.startswith("/") else f"/{target}"


class Exchange:
    """A request and its answer, read bit by bit. Raises OSError and h11.RemoteProtocolError."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEADERS)
        self.received = 0

    async def send(self, method: str, target: str, headers: Headers, body: bytes) -> None:
        """Sends the whole request. Raises h11.LocalProtocolError for a header that is none."""
        request = h11.Request(method=method, target=target, headers=headers)
        data = self._connection.send(request) or b""
        if body:
            data += self._connection.send(h11.Data(data=body)) or b""
        await self._stream.write(data + (self._connection.send(h11.EndOfMessage()) or b""))

    async def _event(self) -> object:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            data = await self._stream.read()
            self.received += len(data)
            self._connection.receive_data(data)
        return event

    async def head(self) -> h11.Response | None:
        """The final status and headers; None if the server closed without any answer."""
        try:
            while isinstance(event := await self._event(), h11.InformationalResponse):
                pass
        except h11.RemoteProtocolError:
            if self.received:
                raise
            return None
        return event if isinstance(event, h11.Response) else None

    async def chunk(self) -> bytes:
        """The next part of the body, b"" at its end."""
        while isinstance(event := await self._event(), h11.Data):
            if event.data:
                return bytes(event.data)
        return b""


def header_of(head: h11.Response, name: str) -> str:
    """The first header of that name, "" if there is none."""
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in head.headers if key == wanted), "")


def status_line(head: h11.Response) -> str:
    """As it came."""
    version, reason = head.http_version.decode(), head.reason.decode("latin-1")
    return f"HTTP/{version} {head.status_code}" + (f" {reason}" if reason else "")
