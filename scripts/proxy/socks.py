"""SOCKS protocol version 5, the server's side, without I/O (RFC 1928): no authentication, CONNECT.

Feed bytes with `receive`; it returns what to send. Once `request` is set, answer it with `granted` or `refused`; what
came behind the request is the connection's own.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

_VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0
_NONE_ACCEPTABLE: Final = 0xFF
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4

GENERAL_FAILURE: Final = 1
NETWORK_UNREACHABLE: Final = 3
HOST_UNREACHABLE: Final = 4
CONNECTION_REFUSED: Final = 5
TTL_EXPIRED: Final = 6
COMMAND_NOT_SUPPORTED: Final = 7
ADDRESS_NOT_SUPPORTED: Final = 8


class SocksError(Exception):
    """What the client said is not served; `answer` is what it is told before the connection ends."""

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Request:
    """Where a client wants to go: an address or a name, and a port."""

    host: str
    port: int

    @property
    def is_name(self) -> bool:
        """Whether the host has to be resolved."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


def reply(code: int) -> bytes:
    """A reply, without a bound address of use."""
    return bytes((_VERSION, code, 0, _IPV4)) + bytes(6)


class SocksServer:
    """One client's conversation."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.rest = b""
        """What came after the request."""
        self._greeted = False

    def receive(self, data: bytes) -> bytes:
        """Takes bytes; what to send back. Raises SocksError."""
        self.rest += data
        answer = b""
        if not self._greeted:
            answer = self._greet()
        if self._greeted and self.request is None:
            self._read_request()
        return answer

    def _greet(self) -> bytes:
        if self.rest[:1] not in (b"", bytes((_VERSION,))):
            raise SocksError(f"version {self.rest[0]}: only SOCKS5 is spoken here")
        if len(self.rest) < 2 or len(self.rest) < 2 + self.rest[1]:
            return b""
        end = 2 + self.rest[1]
        methods, self.rest = self.rest[2:end], self.rest[end:]
        if _NO_AUTHENTICATION not in methods:
            raise SocksError("the client insists on authentication", bytes((_VERSION, _NONE_ACCEPTABLE)))
        self._greeted = True
        return bytes((_VERSION, _NO_AUTHENTICATION))

    def _read_request(self) -> None:
        if len(self.rest) < 5:
            return
        version, command, _, kind, first = self.rest[:5]
        if version != _VERSION:
            raise SocksError(f"version {version} in a request", reply(GENERAL_FAILURE))
        if command != _CONNECT:
            raise SocksError(f"command {command}: only CONNECT is served", reply(COMMAND_NOT_SUPPORTED))
        lengths = {_IPV4: 4, _IPV6: 16, _NAME: 1 + first}
        if kind not in lengths:
            raise SocksError(f"address type {kind}", reply(ADDRESS_NOT_SUPPORTED))
        end = 4 + lengths[kind]
        if len(self.rest) < end + 2:
            return
        octets, port, self.rest = self.rest[4:end], int.from_bytes(self.rest[end : end + 2]), self.rest[end + 2 :]
        self.request = Request(_name(octets[1:]) if kind == _NAME else str(ipaddress.ip_address(octets)), port)


def _name(octets: bytes) -> str:
    try:
        name = octets.decode("ascii")
    except UnicodeDecodeError:
        raise SocksError("a name that is not ASCII", reply(ADDRESS_NOT_SUPPORTED)) from None
    if not name:
        raise SocksError("an empty name", reply(GENERAL_FAILURE))
    return name
