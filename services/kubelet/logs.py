"""One reader of a container's log: pages from the runtime, selected, and sent as fast as the reader takes them.

Source: kubernetes `pkg/kubelet/kuberuntime/logs/logs.go`.
"""

import asyncio
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import kubelet as messages
from podwire.proto.messages import runtime
from podwire.services.chassis.context import Context
from podwire.services.chassis.frames import FrameSession, Received
from podwire.services.kubelet.core.logs import LogSelection
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

_WAIT: Final = 5.0


class LogReading:
    """Listens to the reader from the moment it is made."""

    def __init__(
        self, context: Context, client: RuntimeClient, request: messages.LogRequest, container: str, node: str
    ) -> None:
        self._client, self._request, self._container = client, request, container
        outgoing, incoming = subjects.stream_output(node, request.session), subjects.stream_input(node, request.session)
        self._frames = FrameSession(context.bus, outgoing, incoming, self._take)
        self._alive = context.tasks.start(self._frames.stay_alive(), name="log reader's liveness")
        self._selection = LogSelection(request)
        self._sending: asyncio.Task[None] | None = None

    def _take(self, frame: Received) -> None:
        if isinstance(frame, messages.StreamError) and self._sending is not None:
            self._sending.cancel()

    async def run(self) -> None:
        """Sends until the log ends, the wanted bytes are sent, or the reader is gone."""
        self._sending = asyncio.current_task()
        try:
            await self._send_pages()
            self._frames.finish(0)
        except RuntimeFailed as error:
            self._frames.fail(str(error))
        except BrokenPipeError:
            pass
        finally:
            self._frames.close()
            self._alive.cancel()

    async def _send_pages(self) -> None:
        selection, position, caught_up = self._selection, 0, False
        while not selection.is_full:
            page = await self._page(position, _WAIT if caught_up else 0.0)
            position = page.start + len(page.lines)
            last = page.ended or (not self._request.follow and not page.more)
            caught_up = caught_up or not page.more
            await self._frames.write(messages.STDOUT, selection.take(page.lines, caught_up))
            if last:
                return

    async def _page(self, start: int, wait: float) -> runtime.LogLines:
        call = runtime.ReadLog(container=self._container, start=start, wait=wait)
        try:
            result = await self._client.call(call)
        except RuntimeFailed as error:
            if start and error.code == "NotFound":
                return runtime.LogLines(start=start, lines=[], ended=True)
            raise
        if not isinstance(result, runtime.LogLines):
            raise RuntimeFailed("Internal", f"ReadLog was answered with {type(result).__name__}")
        return result
