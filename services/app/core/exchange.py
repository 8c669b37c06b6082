"""One HTTP/1.1 exchange as ASGI sees it: scopes and events from h11's, and back (ASGI specification 3.0, HTTP 2.4)."""

from typing import Any
from urllib.parse import unquote_to_bytes

import h11

Address = tuple[str, int]


class NotAllowed(Exception):
    """An application sent what ASGI does not allow at this point."""


def scope_of(request: h11.Request, client: Address, server: Address, state: dict[str, Any]) -> dict[str, Any]:
    """The connection scope of a request."""
    raw_path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version.decode(),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "client": client,
        "server": server,
        "state": dict(state),
    }


class Answer:
    """What an application has sent so far."""

    def __init__(self, connection: h11.Connection, method: bytes) -> None:
        self.started = False
        self.complete = False
        self._connection, self._is_head = connection, method == b"HEAD"
        self._start: dict[str, Any] | None = None

    def take(self, message: dict[str, Any]) -> bytes:
        """The bytes to write for one event of the application. Raises NotAllowed."""
        kind = message.get("type")
        if kind == "http.response.start" and self._start is None:
            self._start = message
            return b""
        if kind == "http.response.body" and self._start is not None and not self.complete:
            return self._body(message)
        raise NotAllowed(f"{kind!r} was sent {'after the response' if self.complete else 'out of turn'}")

    def _body(self, message: dict[str, Any]) -> bytes:
        out, body, more = b"", bytes(message.get("body", b"")), bool(message.get("more_body", False))
        try:
            if not self.started:
                out += self._head(body, more)
            if body and not self._is_head:
                out += self._connection.send(h11.Data(data=body)) or b""
            if not more:
                out += self._connection.send(h11.EndOfMessage()) or b""
        except (h11.LocalProtocolError, TypeError, ValueError) as error:
            raise NotAllowed(str(error)) from None
        self.complete = not more
        return out

    def _head(self, body: bytes, more: bool) -> bytes:
        assert self._start is not None
        headers = [(bytes(name), bytes(value)) for name, value in self._start.get("headers", [])]
        named = [name.lower() for name, _ in headers]
        if not more and b"content-length" not in named and b"transfer-encoding" not in named:
            headers.append((b"content-length", str(len(body)).encode()))
        self.started = True
        return self._connection.send(h11.Response(status_code=self._start["status"], headers=headers)) or b""

    def failure(self, status: int) -> bytes:
        """A plain answer in place of the application's, which has not begun one."""
        text = {400: b"Bad Request", 500: b"Internal Server Error"}[status]
        headers = [("content-type", "text/plain"), ("content-length", str(len(text))), ("connection", "close")]
        out = self._connection.send(h11.Response(status_code=status, headers=headers)) or b""
        out += (self._connection.send(h11.Data(data=text)) or b"") if not self._is_head else b""
        self.started = self.complete = True
        return out + (self._connection.send(h11.EndOfMessage()) or b"")
