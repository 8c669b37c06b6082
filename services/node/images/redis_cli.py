"""redis-cli for one command; its prompt is not built."""

from podwire.services.node.images.resp import ProtocolFailure, Reader, bulk
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process
from podwire.services.node.programs.arguments import UsageError, parse_options


async def redis_cli(process: Process) -> int:
    """redis-cli [-h HOST] [-p PORT] COMMAND…"""
    try:
        options = parse_options(process.arguments[1:], "h:p:n:a:", {"raw": "raw"}, permute=False)
        port = options.value("p", "6379")
        if not options.operands or not port.isdigit() or not 0 < int(port[:6]) < 65536:
            raise UsageError("a command is needed: the prompt is not built")
    except UsageError as error:
        await process.complain(f"redis-cli: {error}")
        return 1
    host = options.value("h", "127.0.0.1")
    try:
        address = (await process.resolver().addresses(host))[0]
        stream = await process.network.connect((address, int(port)))
    except (OSError, ResolutionFailure) as error:
        reason = getattr(error, "strerror", None) or str(error)
        await process.complain(f"Could not connect to Redis at {host}:{port}: {reason}")
        return 1
    return await _ask(process, stream, [word.encode() for word in options.operands])


async def _ask(process: Process, stream: TcpStream, words: list[bytes]) -> int:
    try:
        await stream.write(b"*%d\r\n" % len(words) + b"".join(bulk(word) for word in words))
        reply = await Reader(stream).reply()
    except (OSError, ProtocolFailure) as error:
        await process.complain(f"Error: {getattr(error, 'strerror', None) or error}")
        return 1
    finally:
        stream.close()
    if reply is None:
        await process.complain("Error: Server closed the connection")
        return 1
    await process.print(f"{reply}\n")
    return 0
