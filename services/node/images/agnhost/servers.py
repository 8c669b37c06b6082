"""agnhost's small servers: test-webserver, port-forward-tester."""

import asyncio
import functools

from podwire.services.chassis.clock import MILLISECOND
from podwire.services.node.files import normal
from podwire.services.node.images.agnhost.go import error_text, join, log
from podwire.services.node.images.agnhost.options import read_options
from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.nginx import content_type
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process


async def test_webserver(process: Process) -> int:
    """The container's files on a port (test-webserver.go, http.FileServer)."""
    options = read_options(process.arguments[1:], {"port": "80"})
    port = options.value("port")
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
        await log(process, f"listen tcp: address {port}: invalid port")
        return 1
    try:
        await HttpServer(process, functools.partial(_file, process)).run(int(port))
    except OSError as error:
        await log(process, f"listen tcp :{port}: bind: {error_text(error)}")
    return 1


async def _file(process: Process, request: Request) -> Response:
    path = normal(request.path)
    index = process.files.read(path.rstrip("/") + "/index.html")
    if process.files.is_folder(path) and index is None:
        names = process.files.entries(path)
        shown = [f"{name}/" if process.files.is_folder(f"{path.rstrip('/')}/{name}") else name for name in names]
        page = "<pre>\n" + "".join(f'<a href="{name}">{name}</a>\n' for name in shown) + "</pre>\n"
        return Response(body=page.encode(), content_type="text/html; charset=utf-8")
    data = process.files.read(path) if index is None else index
    if data is None:
        return Response(404, b"404 page not found\n", headers=(("X-Content-Type-Options", "nosniff"),))
    return Response(body=data, content_type="text/html; charset=utf-8" if index is not None else content_type(path))


async def port_forward_tester(process: Process) -> int:
    """One connection on BIND_PORT: waits for EXPECTED_CLIENT_DATA, sends CHUNKS of CHUNK_SIZE `x` every CHUNK_INTERVAL
    milliseconds (portforwardtester.go)."""
    environment = process.environment
    numbers = {}
    for name, default in (("BIND_PORT", ""), ("CHUNKS", "0"), ("CHUNK_SIZE", "0"), ("CHUNK_INTERVAL", "0")):
        text = environment.get(name, default)
        if not (text.isascii() and text.isdigit()) or len(text) > 6:
            await process.print(f"Unable to parse {name}: {text!r}\n")
            return 1
        numbers[name] = int(text)
    streams: asyncio.Queue[TcpStream] = asyncio.Queue()
    address = environment.get("BIND_ADDRESS", "localhost").replace("localhost", "127.0.0.1")
    listener = process.network.listen(numbers["BIND_PORT"], streams.put_nowait, address)
    try:
        stream = await streams.get()
    finally:
        listener.close()
    await process.print(f"Accepted client connection {join(stream.socket.remote_endpoint or ('', 0))}\n")
    try:
        return await _converse(process, stream, environment.get("EXPECTED_CLIENT_DATA", ""), numbers)
    finally:
        stream.close()


async def _converse(process: Process, stream: TcpStream, expected: str, numbers: dict[str, int]) -> int:
    if expected:
        data = b""
        while len(data) < len(expected.encode()) and (more := await stream.read()):
            data += more
        text = data.decode(errors="replace")
        if text != expected:
            await process.print(f"Expected to read {expected!r}, got {text!r} instead.\n")
            return 2
        await process.print("Received expected client data\n")
    for _ in range(numbers["CHUNKS"]):
        await asyncio.sleep(numbers["CHUNK_INTERVAL"] * MILLISECOND / 10**9)
        await stream.write(b"x" * numbers["CHUNK_SIZE"])
    await process.print("Done\n")
    return 0
