"""exec, attach and logs: what the API server asks of a kubelet, set up with the runtime or served from its logs."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec, runtime
from podwire.proto.messages import kubelet as messages
from podwire.services.chassis.bus.base import Message
from podwire.services.chassis.bus.pieces import Responder
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.kubelet.core.decide import RuntimePod
from podwire.services.kubelet.pleg import PodLifecycle
from podwire.services.kubelet.runtime import RuntimeClient, RuntimeFailed

_POLL: Final = 0.1
_LARGEST_FRAME: Final = 64 * 1024


class Streams:
    """Answers on `kubelet.<node>`."""

    def __init__(self, context: Context, client: RuntimeClient, lifecycle: PodLifecycle, node: str) -> None:
        self._context, self._client, self._lifecycle, self._node = context, client, lifecycle, node
        Responder(context.bus, context.tasks, self._answer).serve(subjects.kubelet(node))

    async def _answer(self, message: Message) -> bytes:
        try:
            request: messages.KubeletRequest = codec.decode_union(messages.KubeletRequest, message.payload)
        except codec.ForeignMessage as error:
            return codec.encode(_refused(400, "BadRequest", str(error)))
        try:
            return codec.encode(await self._open(request))
        except RuntimeFailed as error:
            return codec.encode(_refused(500, "InternalError", str(error)))

    async def _open(self, request: messages.KubeletRequest) -> messages.KubeletReply:
        held = self._held(request)
        if isinstance(request, messages.LogRequest):
            return self._open_log(request, held)
        container = held.newest(request.container)
        if container is None or container.state != "RUNNING":
            return _refused(400, "BadRequest", f'container "{request.container}" is not running')
        command = request.command if isinstance(request, messages.ExecRequest) else []
        call = runtime.StartExec(
            container=container.id,
            session=request.session,
            command=command,
            stdin=request.stdin,
            tty=request.tty,
            attach=isinstance(request, messages.AttachRequest),
        )
        await self._client.call(call)
        return messages.StreamOpened(session=request.session)

    def _held(self, request: messages.KubeletRequest) -> RuntimePod:
        """By uid; a mirror pod's uid is not the static pod's, so the name is tried as well."""
        if (held := self._lifecycle.pods.get(request.uid)) is not None:
            return held
        for held in self._lifecycle.pods.values():
            names = [(entry.config.namespace, entry.config.name) for entry in held.sandboxes]
            if (request.namespace, request.pod) in names:
                return held
        return RuntimePod()

    # -- logs

    def _open_log(self, request: messages.LogRequest, held: RuntimePod) -> messages.KubeletReply:
        attempts = held.attempts(request.container)
        chosen = attempts[-2:-1] if request.previous else attempts[-1:]
        if not chosen:
            kind = "previous terminated container" if request.previous else "container"
            text = f'{kind} "{request.container}" in pod "{request.pod}" not found'
            return _refused(400, "BadRequest", text)
        self._context.tasks.start(self._send_log(request, chosen[0].id), name="log")
        return messages.StreamOpened(session=request.session)

    async def _send_log(self, request: messages.LogRequest, container: str) -> None:
        sender = _Sender(self._context, self._node, request.session)
        position, first = 0, True
        quiet = 0.0
        try:
            while True:
                result = await self._client.call(runtime.ReadLog(container=container, start=position))
                if not isinstance(result, runtime.LogLines):
                    raise RuntimeFailed("Internal", f"ReadLog was answered with {type(result).__name__}")
                position = result.start + len(result.lines)
                sender.data(_log_text(request, _tail(request, result.lines) if first else result.lines))
                first = False
                if result.ended or not request.follow:
                    sender.exit()
                    return
                quiet = 0.0 if result.lines else quiet + _POLL
                if quiet >= messages.ALIVE_EVERY:
                    sender.alive()
                    quiet = 0.0
                await asyncio.sleep(_POLL)
        except RuntimeFailed as error:
            sender.error(str(error))


class _Sender:
    """Numbers the frames of one session's output."""

    def __init__(self, context: Context, node: str, session: str) -> None:
        self._bus = context.bus
        self._subject = subjects.stream_output(node, session)
        self._sequence = 0

    def _send(self, frame: messages.StreamFrame) -> None:
        self._bus.publish(self._subject, codec.encode(frame))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def data(self, data: bytes) -> None:
        for start in range(0, len(data), _LARGEST_FRAME):
            self._send(messages.Data(self._next(), messages.STDOUT, data[start : start + _LARGEST_FRAME]))

    def alive(self) -> None:
        self._send(messages.Alive(self._next()))

    def exit(self) -> None:
        self._send(messages.Exit(self._next(), 0))

    def error(self, message: str) -> None:
        self._send(messages.StreamError(self._next(), message))


def _tail(request: messages.LogRequest, lines: list[runtime.LogLine]) -> list[runtime.LogLine]:
    if request.since_time is not None:
        lines = [line for line in lines if line.time >= request.since_time]
    if request.tail_lines is not None:
        lines = lines[-request.tail_lines :] if request.tail_lines else []
    return lines


def _log_text(request: messages.LogRequest, lines: list[runtime.LogLine]) -> bytes:
    text = "".join(f"{_stamp(line.time)} {line.text}\n" if request.timestamps else f"{line.text}\n" for line in lines)
    data = text.encode()
    return data if request.limit_bytes is None else data[: request.limit_bytes]


def _stamp(nanoseconds: int) -> str:
    whole = datetime.fromtimestamp(nanoseconds // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds % SECOND:09d}Z"


def _refused(code: int, reason: str, message: str) -> messages.StreamRefused:
    return messages.StreamRefused(code=code, reason=reason, message=message)
