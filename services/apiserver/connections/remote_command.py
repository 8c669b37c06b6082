"""exec and attach: joins a client's wire, whichever it speaks, to a session with a container."""

import asyncio
from typing import Final, Protocol

from podwire.proto.messages.kubelet import Data, Exit, StreamError
from podwire.services.apiserver.sessions import Session

_STREAMS_WITHIN: Final = 30.0
PING_EVERY: Final = 5.0


class Wire(Protocol):
    """A client's connection."""

    async def ready(self) -> None:
        """Returns when output can be sent, or never will be."""
        ...

    async def pump(self, session: Session) -> None:
        """Brings the client's input to a session until the client is gone. Raises ConnectionError."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Output; returns when there is room for more. Raises ConnectionError."""
        ...

    async def finish(self, code: int, message: str) -> None:
        """Tells the program's end (a negative code: of the session). Raises ConnectionError."""
        ...

    async def ping(self) -> None:
        """Writes something of no consequence. Raises ConnectionError where the client is gone."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


async def join(wire: Wire, session: Session) -> None:
    """Serves until the program or the client ends; the client's end is the session's."""
    loop = asyncio.get_running_loop()
    pump = loop.create_task(_pump(wire, session))
    signs = [loop.create_task(session.keep_alive()), loop.create_task(_watch_client(wire, session))]
    try:
        async with asyncio.timeout(_STREAMS_WITHIN):
            await wire.ready()
        await _send_output(wire, session)
    except TimeoutError:
        session.abandon("timed out waiting for client to create streams")
    except ConnectionError:
        pass
    finally:
        for task in signs:
            task.cancel()
        await wire.close()
        pump.cancel()


async def _pump(wire: Wire, session: Session) -> None:
    try:
        await wire.pump(session)
    except ConnectionError:
        pass
    finally:
        session.abandon("the client is gone")


async def _watch_client(wire: Wire, session: Session) -> None:
    """Notices the client's end also while its input is not taken."""
    try:
        while True:
            await asyncio.sleep(PING_EVERY)
            await wire.ping()
    except ConnectionError:
        session.abandon("the client is gone")


async def _send_output(wire: Wire, session: Session) -> None:
    while not isinstance(frame := await session.receive(), Exit | StreamError):
        if isinstance(frame, Data):
            await wire.send(frame.channel, frame.data)
    if isinstance(frame, Exit):
        await wire.finish(frame.code, frame.message)
    else:
        await wire.finish(-1, frame.message)
