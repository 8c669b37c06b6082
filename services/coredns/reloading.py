"""The Corefile: read at the start, and again when it changes (plugin/reload)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from podwire.services.chassis.chance import below
from podwire.services.chassis.claim import Container, ContainerError
from podwire.services.coredns.core.corefile import CorefileError
from podwire.services.coredns.core.servers import Server, Surroundings, build, read_blocks, wanted_files

_MILLISECONDS: Final = 1000


class Reloading:
    """Reads a Corefile into servers; a bad one leaves those of the last good one at work."""

    def __init__(
        self,
        container: Container,
        path: str,
        surroundings: Callable[[dict[str, str | None]], Surroundings],
        take: Callable[[list[Server]], Awaitable[None]],
        failed: Callable[[], None],
    ) -> None:
        self._container, self._path = container, path
        self._surroundings, self._take, self._failed = surroundings, take, failed
        self._text = ""
        self._every, self._jitter = 0.0, 0.0

    async def first(self) -> list[Server]:
        """The servers of the Corefile as it is. Raises CorefileError."""
        text = await self._read()
        if text is None:
            raise CorefileError(f"open {self._path}: no such file or directory")
        return await self._build(text)

    async def _read(self) -> str | None:
        data = await self._container.read_file(self._path)
        return None if data is None else data.decode(errors="replace")

    async def _build(self, text: str) -> list[Server]:
        blocks = read_blocks(text, self._container.config.environment)
        files: dict[str, str | None] = {}
        for path in wanted_files(blocks):
            data = await self._container.read_file(path)
            files[path] = None if data is None else data.decode(errors="replace")
        servers = build(blocks, self._surroundings(files))
        self._text = text
        self._every = max((server.endpoints.reload_every for server in servers), default=0.0)
        self._jitter = max((server.endpoints.reload_jitter for server in servers), default=0.0)
        if self._every:
            self._say_hash(text)
        return servers

    def _say_hash(self, text: str) -> None:
        digest = hashlib.sha512(text.encode()).hexdigest()
        self._say(f"[INFO] plugin/reload: Running configuration SHA512 = {digest}")

    def _say(self, line: str) -> None:
        self._container.log(line, stream="stdout")

    async def run(self) -> None:
        """Looks again and again; returns at once where no server block has `reload`."""
        tried = self._text
        while self._every:
            await asyncio.sleep(self._every + self._drawn_jitter())
            text = await self._read()
            if text is not None and text not in (self._text, tried):
                tried = text
                await self._reload(text)

    def _drawn_jitter(self) -> float:
        random = self._container.context.random
        return below(random, max(int(self._jitter * _MILLISECONDS), 1)) / _MILLISECONDS

    async def _reload(self, text: str) -> None:
        self._say("[INFO] Reloading")
        try:
            await self._take(await self._build(text))
        except (CorefileError, ContainerError) as error:
            self._failed()
            self._say(f"[ERROR] Restart failed: {error}")
            self._say(f"[ERROR] plugin/reload: Corefile changed but reload failed: {error}")
        else:
            self._say("[INFO] Reloading complete")
