"""busybox's httpd (networking/httpd.c): files of a folder; CGI, passwords and a configuration file are not built."""

import asyncio
import functools

from podwire.services.node.files import normal
from podwire.services.node.images.http_server import HttpServer, Request, Response, Style, reason
from podwire.services.node.images.nginx import content_type
from podwire.services.node.network.sockets import EVERYWHERE
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options
from podwire.services.node.programs.usage import refuse
from podwire.services.node.runtime.programs import run


def _headers(response: Response, date: str) -> list[tuple[str, str]]:
    kind, length = ("Content-type", response.content_type), ("Content-Length", str(len(response.body)))
    return [("Date", date), ("Connection", "close"), kind, *response.headers, length]


def _error(status: int) -> Response:
    name = reason(status)
    text = {404: "The requested URL was not found", 501: "The requested method is not recognized"}.get(status, name)
    heading = f"{status} {name}"
    page = f"<HTML><HEAD><TITLE>{heading}</TITLE></HEAD>\n<BODY><H1>{heading}</H1>\n{text}\n</BODY></HTML>\n"
    return Response(status, page.encode(), "text/html")


async def httpd(process: Process) -> int:
    """httpd [-f] [-p [ADDRESS:]PORT] [-h FOLDER] [-v]; without -f it goes on in the background."""
    try:
        options = parse_options(process.arguments[1:], "fip:h:vu:c:r:d:e:")
        unbuilt = next((letter for letter in "iurcde" if letter in options), "")
        if unbuilt:
            raise UsageError(f"-{unbuilt} is not built in podwire")
        address, _, port = (options.value("p") or "80").rpartition(":")
        if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
            raise UsageError(f"bad port '{port}'")
    except UsageError as error:
        return await refuse(process, error, "httpd [-fv] [-p [IP:]PORT] [-h HOME]")
    folder = normal(options.value("h") or ".", process.folder)
    if not process.files.is_folder(folder):
        await process.complain(f"httpd: can't change directory to '{options.value('h')}': No such file or directory")
        return 1
    serving = functools.partial(_serve, address=address.strip("[]") or EVERYWHERE, port=int(port), folder=folder)
    if "f" in options:
        return await serving(process)
    process.processes.keep(asyncio.get_running_loop().create_task(run(process, serving), name="httpd"))
    await asyncio.sleep(0.001)
    return 0


async def _serve(process: Process, address: str, port: int, folder: str) -> int:
    answer = functools.partial(_answer, process, folder)
    try:
        await HttpServer(process, answer, Style(_headers, _error)).run(port, address)
    except OSError as error:
        await process.complain(f"httpd: bind: {error.strerror}")
    return 1


async def _answer(process: Process, folder: str, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return _error(501)
    place = folder.rstrip("/") + normal(request.path)
    if process.files.is_folder(place):
        if not request.path.endswith("/"):
            return Response(302, content_type="text/html", headers=(("Location", f"{request.path}/"),))
        place = f"{place.rstrip('/')}/index.html"
    data = process.files.read(place)
    if data is None:
        return _error(404)
    return Response(body=data, content_type=content_type(place), headers=(("Accept-Ranges", "bytes"),))
