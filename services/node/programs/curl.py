"""curl for http and https: output, messages and exit codes of curl 8.11 (libcurl-errors(3))."""

import asyncio
import errno
from dataclasses import dataclass, field
from typing import Final

import h11

from podwire.proto.kube.families import host_port
from podwire.services.chassis.clock import MILLISECOND, SECOND
from podwire.services.node.files import FileError
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.network.tls import TlsFailure, TlsStream, Trust, open_tls
from podwire.services.node.pipes import BrokenPipe, Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.curl_options import VERSION, BadOption, Call, read_call, request_headers
from podwire.services.node.programs.filesystem import open_to_write, read_file
from podwire.services.node.programs.http_client import (
    BadUrl,
    Exchange,
    Headers,
    Url,
    header_of,
    parse_url,
    status_line,
)

_CONNECT_TIMEOUT: Final = 300
"""Seconds (curl's default)."""
_HEAD_START: Final = 0.2
"""Seconds (CURL_HET_DEFAULT)."""
_METER: Final = (
    "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
    "                                 Dload  Upload   Total   Spent    Left  Speed\n"
)
_SYSTEM_TRUST: Final = "/etc/ssl/certs/ca-certificates.crt"
_MORE: Final = (
    "\nMore details here: https://curl.se/docs/sslcerts.html\n\n"
    "curl failed to verify the legitimacy of the server and therefore could not\n"
    "establish a secure connection to it. To learn more about this situation and\n"
    "how to fix it, please visit the webpage mentioned above."
)
_RETRIED: Final = (408, 429, 500, 502, 503, 504)


class CurlError(Exception):
    """A transfer that failed, with curl's number and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Facts:
    """What -w can print. Times are nanoseconds since the start."""

    url: str
    method: str = "GET"
    status: int = 0
    content_type: str = ""
    address: str = ""
    port: int = 0
    local: tuple[str, int] = ("", 0)
    redirects: int = 0
    downloaded: int = 0
    uploaded: int = 0
    header_bytes: int = 0
    resolved: int = 0
    connected: int = 0
    secured: int = 0
    first_byte: int = 0
    total: int = 0
    code: int = 0
    message: str = ""


async def curl(process: Process) -> int:
    """curl [OPTION]… URL…; the last transfer's exit code."""
    try:
        call = read_call(process.arguments[1:])
    except BadOption as error:
        await process.complain(f"curl: {error}")
        await process.complain("curl: try 'curl --help' or 'curl --manual' for more information")
        return 2
    if call.version:
        await process.print(f"curl {VERSION} (podwire)\nProtocols: http https\nFeatures: SSL\n")
        return 0
    code = 0
    for number, url in enumerate(call.urls):
        code = await _Transfer(process, call, url, number).run()
    return code


@dataclass(slots=True)
class _Transfer:
    process: Process
    call: Call
    text: str
    number: int
    facts: Facts = field(init=False)
    begun: int = 0
    phase: str = "Resolving"
    expected: int = -1
    writer: Writer | None = None

    async def run(self) -> int:
        """All attempts; the exit code."""
        code = await self._attempt()
        for _ in range(self.call.retries):
            transient = code in (6, 28) or (code == 7 and self.call.retry_refused) or self.facts.status in _RETRIED
            if not transient:
                break
            await asyncio.sleep(self.call.retry_delay)
            code = await self._attempt()
        if self.call.write_out:
            await self.process.print(written_out(self.call.write_out, self.facts))
        return code

    async def _attempt(self) -> int:
        self.begun = self.process.clock.monotonic_ns()
        self.facts, self.phase, self.expected, self.writer = Facts(self.text), "Resolving", -1, None
        try:
            async with asyncio.timeout(self.call.max_time or None):
                await self._follow()
        except TimeoutError:
            await self._fail(CurlError(28, self._timed_out()))
        except CurlError as error:
            await self._fail(error)
        except FileError as error:
            await self._fail(CurlError(23, f"client returned ERROR on write: {error.strerror}"))
        self.facts.total = self._elapsed()
        return self.facts.code

    async def _fail(self, error: CurlError) -> None:
        self.facts.code, self.facts.message = error.code, str(error)
        await self._verbose("* Closing connection\n" if self.facts.connected else "")
        if not self.call.silent or self.call.show_error:
            await self.process.complain(f"curl: ({error.code}) {error}")

    def _elapsed(self) -> int:
        return self.process.clock.monotonic_ns() - self.begun

    def _milliseconds(self) -> int:
        return self._elapsed() // MILLISECOND

    def _timed_out(self) -> str:
        if self.phase != "Operation":
            return f"{self.phase} timed out after {self._milliseconds()} milliseconds"
        total = f" out of {self.expected}" if self.expected >= 0 else ""
        received = f"{self.facts.downloaded}{total} bytes received"
        return f"Operation timed out after {self._milliseconds()} milliseconds with {received}"

    async def _verbose(self, text: str) -> None:
        if self.call.verbose and text:
            await self.process.stderr.write(text.encode())

    # -- requests

    async def _follow(self) -> None:
        url = self._parsed(self.text)
        body = self._body()
        if self.call.as_query and body:
            url = self._parsed(f"{url.text}{'&' if '?' in url.target else '?'}{body.decode(errors='replace')}")
            body = b""
        method = self.call.method or self._method(body)
        if not (self.call.silent or self.call.no_meter or self.process.is_terminal):
            await self.process.stderr.write(_METER.encode())
        while True:
            self.facts.url, self.facts.method = url.text, method
            location = await self._request(url, method, body)
            if not location or not self.call.follow:
                break
            if self.facts.redirects >= self.call.max_redirects:
                raise CurlError(47, f"Maximum ({self.call.max_redirects}) redirects followed")
            self.facts.redirects += 1
            url = self._parsed(location, url)
            if self.facts.status in (301, 302, 303) and method == "POST" and not self.call.method:
                method, body = "GET", b""
        await self._meter()
        if (self.call.fail or self.call.fail_with_body) and self.facts.status >= 400:
            raise CurlError(22, f"The requested URL returned error: {self.facts.status}")

    def _parsed(self, text: str, base: Url | None = None) -> Url:
        try:
            return parse_url(text, base)
        except BadUrl as error:
            if error.scheme:
                raise CurlError(1, f'Protocol "{error.scheme}" not supported') from None
            raise CurlError(3, f"URL rejected: {error}") from None

    def _method(self, body: bytes) -> str:
        if self.call.head:
            return "HEAD"
        return "POST" if self.call.data and not self.call.as_query else "GET"

    def _body(self) -> bytes:
        return b"&".join(self._datum(kind, text) for kind, text in self.call.data)

    def _datum(self, kind: str, text: str) -> bytes:
        if kind == "raw" or not text.startswith("@"):
            return text.encode()
        try:
            data = read_file(self.process, text[1:])
        except FileError:
            raise CurlError(26, f"Failed to open {text[1:]}") from None
        return data.replace(b"\r", b"").replace(b"\n", b"") if kind == "data" else data

    async def _request(self, url: Url, method: str, body: bytes) -> str:
        stream = await self._connect(url)
        try:
            carrier = await self._secured(stream, url) if url.scheme == "https" else stream
            return await self._exchange(Exchange(carrier), url, method, body)
        except h11.LocalProtocolError as error:
            raise CurlError(43, f"A libcurl function was given a bad argument: {error}") from None
        except h11.RemoteProtocolError as error:
            raise self._broken(error) from None
        except BrokenPipe:
            raise CurlError(23, "Failure writing output to destination") from None
        except OSError as error:
            text = error.strerror or "Connection reset by peer"
            raise CurlError(56, f"Recv failure: {text}") from None
        finally:
            stream.close()

    def _trust(self) -> Trust:
        name = self.call.ca_file or _SYSTEM_TRUST
        try:
            return Trust(read_file(self.process, name).decode("ascii", "replace"), not self.call.insecure)
        except FileError:
            if self.call.ca_file and not self.call.insecure:
                raise CurlError(77, f"error setting certificate verify locations:  CAfile: {name}") from None
            return Trust(verify=not self.call.insecure)

    async def _secured(self, stream: TcpStream, url: Url) -> TlsStream:
        self.phase = "SSL connection"
        limit = self.call.connect_timeout or _CONNECT_TIMEOUT
        try:
            async with asyncio.timeout(limit):
                tls = await open_tls(stream, url.host, self._trust(), self.process.clock)
        except TimeoutError:
            raise CurlError(28, self._timed_out()) from None
        except TlsFailure as failure:
            raise _tls_error(failure, url.host, self.call.ca_file) from None
        self.facts.secured, self.phase = self._elapsed(), "Operation"
        await self._verbose(f"* SSL connection using {tls.version()}\n")
        verdict = "verify ok" if not self.call.insecure else "verification was skipped"
        await self._verbose(f"*  SSL certificate {verdict}.\n")
        return tls

    def _broken(self, error: h11.RemoteProtocolError) -> CurlError:
        if self.facts.status and "peer closed" in str(error):
            if self.expected >= 0:
                missing = self.expected - self.facts.downloaded
                return CurlError(18, f"end of response with {missing} bytes missing")
            return CurlError(18, "transfer closed with outstanding read data remaining")
        if not self.facts.status and "ConnectionClosed" in str(error):
            return CurlError(52, "Empty reply from server")
        return CurlError(1, "Received HTTP/0.9 when not allowed")

    # -- connecting

    async def _addresses(self, url: Url) -> list[str]:
        fixed = self.call.resolve.get((url.host, url.port))
        if fixed is not None:
            await self._verbose(f"* Added {url.host}:{url.port}:{','.join(fixed)} to DNS cache\n")
            return fixed
        try:
            resolver = self.process.resolver()
            return await resolver.addresses(url.host, self.call.family)
        except ResolutionFailure:
            await self._verbose(f"* Could not resolve host: {url.host}\n")
            raise CurlError(6, f"Could not resolve host: {url.host}") from None

    async def _connect(self, url: Url) -> TcpStream:
        self.phase = "Resolving"
        try:
            async with asyncio.timeout(self.call.connect_timeout or _CONNECT_TIMEOUT):
                addresses = await self._addresses(url)
                self.facts.resolved = self._elapsed()
                self.phase = "Connection"
                await self._tell_addresses(url, addresses)
                stream = await self._first_of(url, addresses)
        except TimeoutError:
            raise CurlError(28, self._timed_out()) from None
        self.facts.connected, self.phase = self._elapsed(), "Operation"
        self.facts.local = stream.socket.local_endpoint
        await self._verbose(f"* Connected to {url.host} ({self.facts.address}) port {url.port}\n")
        return stream

    async def _tell_addresses(self, url: Url, addresses: list[str]) -> None:
        if addresses != [url.host]:
            of4, of6 = ([each for each in addresses if (":" in each) == is6] for is6 in (False, True))
            await self._verbose(f"* Host {url.host}:{url.port} was resolved.\n")
            await self._verbose(f"* IPv6: {', '.join(of6) or '(none)'}\n* IPv4: {', '.join(of4) or '(none)'}\n")

    async def _first_of(self, url: Url, addresses: list[str]) -> TcpStream:
        code = 7
        for address in addresses:
            await self._verbose(f"*   Trying {host_port(address, url.port)}...\n")
            self.facts.address, self.facts.port = address, url.port
            try:
                return await self._race(url, address, addresses)
            except OSError as error:
                code = 28 if error.errno == errno.ETIMEDOUT else 7
                await self._verbose(f"* connect to {address} port {url.port} failed: {error.strerror}\n")
        failure = f"Failed to connect to {url.host} port {url.port} after {self._milliseconds()} ms: "
        await self._verbose(f"* {failure}Could not connect to server\n")
        raise CurlError(code, failure + "Could not connect to server")

    async def _race(self, url: Url, address: str, addresses: list[str]) -> TcpStream:
        """Happy eyeballs (RFC 8305) one after the other, where curl has both tries going: an IPv6 address has 200 ms,
        then the first IPv4 address has, then the IPv6 address as long as it takes. Raises OSError."""
        other = next((each for each in addresses if ":" not in each), "")
        connect = self.process.network.connect
        if ":" not in address or not other:
            return await connect((address, url.port))
        try:
            async with asyncio.timeout(_HEAD_START):
                return await connect((address, url.port))
        except TimeoutError:
            await self._verbose(f"*   Trying {host_port(other, url.port)}...\n")
        try:
            async with asyncio.timeout(_HEAD_START):
                stream = await connect((other, url.port))
        except (TimeoutError, OSError):
            return await connect((address, url.port))
        self.facts.address = other
        return stream

    # -- one exchange

    async def _exchange(self, exchange: Exchange, url: Url, method: str, body: bytes) -> str:
        headers = request_headers(self.call, url.authority, url.user, body)
        lines = [f"{method} {url.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), ""]
        await self._verbose("".join(f"> {line}\n" for line in lines))
        await exchange.send(method, url.target, _sendable(headers, url.authority), body)
        self.facts.uploaded += len(body)
        await self._verbose("* Request completely sent off\n")
        head = await exchange.head()
        if head is None:
            raise CurlError(52, "Empty reply from server")
        self.facts.first_byte = self._elapsed()
        await self._take_head(head)
        location = header_of(head, "location") if 300 <= head.status_code < 400 else ""
        await self._take_body(exchange, head, keep=not (location and self.call.follow))
        await self._verbose(f"* Connection #{self.number} to host {url.host} left intact\n")
        return location

    async def _take_head(self, head: h11.Response) -> None:
        self.facts.status, self.facts.content_type = head.status_code, header_of(head, "content-type")
        raw = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
        lines = [status_line(head), *(f"{name}: {value}" for name, value in raw), ""]
        self.facts.header_bytes += sum(len(line) + 2 for line in lines)
        await self._verbose("".join(f"< {line}\n" for line in lines))
        if self.call.include or self.call.head:
            await self._writer().write("".join(f"{line}\r\n" for line in lines).encode("latin-1"))

    async def _take_body(self, exchange: Exchange, head: h11.Response, *, keep: bool) -> None:
        length = header_of(head, "content-length")
        self.expected = int(length) if length.isdigit() and len(length) < 19 else -1
        discard = (self.call.fail and head.status_code >= 400) or not keep
        writer = None if discard else self._writer()
        while data := await exchange.chunk():
            self.facts.downloaded += len(data)
            if not self.process.is_terminal:
                await self._verbose(f"{{ [{len(data)} bytes data]\n")
            if writer is not None:
                await writer.write(data)

    def _writer(self) -> Writer:
        if self.writer is None:
            self.writer = self._open()
        return self.writer

    def _open(self) -> Writer:
        name = self.call.outputs[self.number] if self.number < len(self.call.outputs) else ""
        if self.call.remote_name and not name:
            name = self.facts.url.partition("?")[0].rpartition("/")[2]
            if not name:
                raise CurlError(23, "Remote file name has no length")
        if name in ("", "-"):
            return self.process.stdout
        return open_to_write(self.process, name, append=False)

    async def _meter(self) -> None:
        if self.call.silent or self.call.no_meter or self.process.is_terminal:
            return
        size = self.facts.downloaded
        speed = size * SECOND // max(self._elapsed(), MILLISECOND)
        numbers = f"100 {_short(size)}  100 {_short(size)}    0     0 {_short(speed, 6)}      0"
        if not size:
            numbers, speed = "  0     0    0     0    0     0      0      0", 0
        await self.process.stderr.write(f"\r{numbers} --:--:-- --:--:-- --:--:-- {_short(speed)}\n".encode())


def _tls_error(failure: TlsFailure, host: str, ca_file: str) -> CurlError:
    match failure.kind:
        case "trust":
            return CurlError(77, f"error adding trust anchors from file: {ca_file}")
        case "issuer" | "certificate":
            return CurlError(60, f"SSL certificate problem: {failure}{_MORE}")
        case "name":
            text = f"SSL: no alternative certificate subject name matches target host name '{host}'"
            return CurlError(60, text + _MORE)
        case "simulation":
            return CurlError(1, str(failure))
    return CurlError(35, f"TLS connect error: error:0A000000:SSL routines::{failure}")


def _sendable(headers: Headers, authority: str) -> Headers:
    """h11 insists on Host; what curl would send without one is not HTTP/1.1."""
    return headers if any(name.lower() == "host" for name, _ in headers) else [("Host", authority), *headers]


def _short(number: int, width: int = 5) -> str:
    """Five digits, then k, M, G."""
    for unit in ("", "k", "M", "G"):
        if len(f"{number}{unit}") <= 5:
            return f"{number}{unit}".rjust(width)
        number //= 1024
    return f"{number}T".rjust(width)


def written_out(form: str, facts: Facts) -> str:
    """-w: %{variables}, and \\n, \\t, \\r."""
    values = {
        "http_code": f"{facts.status:03}",
        "response_code": f"{facts.status:03}",
        "content_type": facts.content_type,
        "remote_ip": facts.address,
        "remote_port": str(facts.port),
        "local_ip": facts.local[0],
        "local_port": str(facts.local[1]),
        "method": facts.method,
        "url": facts.url,
        "url_effective": facts.url,
        "num_redirects": str(facts.redirects),
        "num_connects": str(int(facts.connected > 0)),
        "size_download": str(facts.downloaded),
        "size_upload": str(facts.uploaded),
        "size_header": str(facts.header_bytes),
        "time_namelookup": _seconds(facts.resolved),
        "time_connect": _seconds(facts.connected),
        "time_appconnect": _seconds(facts.secured),
        "time_pretransfer": _seconds(facts.secured or facts.connected),
        "time_starttransfer": _seconds(facts.first_byte),
        "time_total": _seconds(facts.total),
        "speed_download": str(facts.downloaded * SECOND // max(facts.total, 1)),
        "exitcode": str(facts.code),
        "errormsg": facts.message,
        "http_version": "1.1",
        "scheme": facts.url.partition("://")[0],
    }
    for escape, letter in (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r")):
        form = form.replace(escape, letter)
    pieces = form.split("%{")
    result = pieces[0]
    for piece in pieces[1:]:
        name, brace, rest = piece.partition("}")
        result += values.get(name, "") + rest if brace else f"%{{{piece}"
    return result.replace("%%", "%")


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // SECOND}.{nanoseconds % SECOND // 1000:06}"
