"""os.Exit of a server: /exit and /shutdown of netexec end the whole process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from podwire.services.node.images.serving import run_all


class Ending:
    """The exit code that a handler asked for."""

    def __init__(self) -> None:
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def leave(self, code: int) -> None:
        """os.Exit(code): never returns."""
        self.ask(code)
        await asyncio.get_running_loop().create_future()

    def ask(self, code: int) -> None:
        """Ends the process; the first code counts."""
        if not self._code.done():
            self._code.set_result(code & 0xFF)

    async def serve(self, servers: list[Coroutine[Any, Any, None]]) -> int:
        """Runs servers until one asks for the end; the exit code. Raises OSError (a port that is taken)."""
        serving = asyncio.get_running_loop().create_task(run_all(servers), name="servers")
        try:
            serving.add_done_callback(lambda _: self.ask(0))
            code = await self._code
            if serving.done():
                serving.result()
            return code
        finally:
            serving.cancel()
            self._code.cancel()
