"""wget as busybox 1.36 has it, for http and https (networking/wget.c)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import h11

from podwire.proto.kube.families import host_port
from podwire.services.node.files import FileError
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.network.tls import TlsFailure, TlsStream, Trust, open_tls
from podwire.services.node.pipes import BrokenPipe, Writer
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import Options, UsageError, parse_options
from podwire.services.node.programs.filesystem import exists, open_to_write
from podwire.services.node.programs.http_client import BadUrl, Exchange, Url, header_of, parse_url, status_line
from podwire.services.node.programs.usage import refuse

_TIMEOUT: Final = 900
"""Seconds (busybox's default)."""
_MOST_REDIRECTS: Final = 5
_LONG: Final = {
    "quiet": "q",
    "spider": "spider",
    "server-response": "S",
    "header": "header:",
    "post-data": "post:",
    "timeout": "T:",
    "output-document": "O:",
    "user-agent": "U:",
    "no-check-certificate": "ignored",
    "tries": "t:",
    "continue": "c",
}
_USAGE: Final = "wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR] [--post-data STR] [-T SEC] URL..."


class WgetError(Exception):
    """A download that failed; the text stands after `wget: `."""


async def wget(process: Process) -> int:
    """wget [OPTION]… URL…: 0, or 1 at the first failure."""
    try:
        options = parse_options(process.arguments[1:], "qSO:T:U:ct:P:Y:", _LONG)
        timeout = float(options.value("T", str(_TIMEOUT)))
        if not options.operands or not 0 < timeout < 10**7:
            raise UsageError("bad arguments")
    except (UsageError, ValueError) as error:
        return await refuse(process, error, _USAGE)
    for text in options.operands:
        try:
            await _Download(process, options, timeout).run(text)
        except (WgetError, FileError) as error:
            await process.complain(f"wget: {getattr(error, 'strerror', None) or error}")
            return 1
    return 0


@dataclass(slots=True)
class _Download:
    process: Process
    options: Options
    timeout: float

    async def run(self, text: str) -> None:
        """Downloads one URL, following redirections. Raises WgetError and FileError."""
        url = self._parsed(text)
        name = self._file_name(url)
        for _ in range(_MOST_REDIRECTS + 1):
            location = await self._once(url, name)
            if not location:
                return
            url = self._parsed(location, url)
        raise WgetError("too many redirections")

    def _parsed(self, text: str, base: Url | None = None) -> Url:
        try:
            return parse_url(text, base)
        except BadUrl as error:
            raise WgetError(f"not an http or ftp url: {text}" if error.scheme else f"bad address '{text}'") from None

    def _file_name(self, url: Url) -> str:
        given = self.options.value("O")
        if given:
            return given
        name = url.target.partition("?")[0].rpartition("/")[2] or "index.html"
        if "spider" not in self.options and exists(self.process, name):
            raise WgetError(f"can't open '{name}': File exists")
        return name

    async def _say(self, text: str) -> None:
        if "q" not in self.options:
            await self.process.stderr.write(text.encode())

    async def _in_time[T](self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.timeout):
                return await work()
        except TimeoutError:
            raise WgetError("download timed out") from None

    async def _once(self, url: Url, name: str) -> str:
        stream = await self._connect(url)
        try:
            carrier = await self._secured(stream, url) if url.scheme == "https" else stream
            return await self._exchange(Exchange(carrier), url, name)
        except h11.LocalProtocolError as error:
            raise WgetError(f"bad header: {error}") from None
        except h11.RemoteProtocolError as error:
            broken = "peer" in str(error)
            raise WgetError("error getting response" if broken else f"bad response: {error}") from None
        except (FileError, BrokenPipe):
            raise
        except OSError as error:
            raise WgetError(f"error getting response: {error.strerror}") from None
        finally:
            stream.close()

    async def _secured(self, stream: TcpStream, url: Url) -> TlsStream:
        """busybox believes every certificate, and says so."""
        if "ignored" not in self.options:
            await self._say("wget: note: TLS certificate validation not implemented\n")
        try:
            opened = open_tls(stream, url.host, Trust(verify=False), self.process.clock)
            return await self._in_time(lambda: opened)
        except TlsFailure as failure:
            raise WgetError(str(failure)) from None

    async def _connect(self, url: Url) -> TcpStream:
        resolver = self.process.resolver()
        try:
            address = (await resolver.addresses(url.host))[0]
        except ResolutionFailure:
            raise WgetError(f"bad address '{url.host if url.port == 80 else f'{url.host}:{url.port}'}'") from None
        await self._say(f"Connecting to {url.authority} ({host_port(address, url.port)})\n")
        try:
            return await self._in_time(lambda: self.process.network.connect((address, url.port)))
        except OSError as error:
            raise WgetError(f"can't connect to remote host ({address}): {error.strerror}") from None

    async def _exchange(self, exchange: Exchange, url: Url, name: str) -> str:
        data = self.options.value("post").encode()
        headers = [("Host", url.authority), ("User-Agent", self.options.value("U", "Wget"))]
        for text in self.options.values("header"):
            key, _, value = text.partition(":")
            headers = [each for each in headers if each[0].lower() != key.strip().lower()]
            headers.append((key.strip(), value.strip()))
        if "post" in self.options:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            headers.append(("Content-Length", str(len(data))))
        headers.append(("Connection", "close"))
        method = "HEAD" if "spider" in self.options else "POST" if "post" in self.options else "GET"
        await exchange.send(method, url.target, headers, data)
        head = await self._in_time(exchange.head)
        if head is None:
            raise WgetError("error getting response")
        await self._show_head(head)
        if head.status_code in (301, 302, 303, 307, 308) and (location := header_of(head, "location")):
            return location
        if not 200 <= head.status_code < 300:
            raise WgetError(f"server returned error: {status_line(head)}")
        if "spider" in self.options:
            await self._say("remote file exists\n")
        else:
            await self._save(exchange, name)
        return ""

    async def _show_head(self, head: h11.Response) -> None:
        if "S" in self.options:
            lines = [status_line(head)]
            lines += [f"{key.decode('latin-1')}: {value.decode('latin-1')}" for key, value in head.headers.raw_items()]
            await self.process.stderr.write("".join(f"  {line}\n" for line in lines).encode())

    async def _save(self, exchange: Exchange, name: str) -> None:
        writer: Writer = self.process.stdout
        if name != "-":
            writer = open_to_write(self.process, name, append=False)
        await self._say("writing to stdout\n" if name == "-" else f"saving to '{name}'\n")
        size = 0
        while data := await self._in_time(exchange.chunk):
            size += len(data)
            await writer.write(data)
        shown = size if size < 100_000 else f"{size // 1024}k"
        await self._say(f"\r{name[:20]:<20} 100% |{'*' * 32}| {shown:>5}  0:00:00 ETA\n")
        await self._say("written to stdout\n" if name == "-" else f"'{name}' saved\n")
