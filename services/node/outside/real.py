"""A real resolver, asked over a real UDP socket. Live only."""

import asyncio
from typing import Final

_TIMEOUT: Final = 4.0


class _Exchange(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def ask_real_resolver(query: bytes, server: str, port: int) -> bytes | None:
    """The answer to a query; None if there is none within four seconds."""
    loop = asyncio.get_running_loop()
    try:
        transport, exchange = await loop.create_datagram_endpoint(_Exchange, remote_addr=(server, port))
    except OSError:
        return None
    try:
        transport.sendto(query)
        async with asyncio.timeout(_TIMEOUT):
            answer = await exchange.answer
        return answer if answer[:2] == query[:2] else None
    except (OSError, TimeoutError):
        return None
    finally:
        transport.close()
