"""A program's streams over the bus: numbered frames in, an exit code at the end."""

import asyncio
from collections.abc import Awaitable, Callable

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages import kubelet as frames
from podwire.proto.messages import machine as messages
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.chance import hexadecimal
from podwire.services.chassis.frames import FrameSession, Received

Take = Callable[[int, bytes], None]
"""Takes output: channel and bytes."""


class _Output:
    """The frames of one session, until its end."""

    def __init__(self, client: Operator, node: str, session: str, take: Take) -> None:
        self.ended: asyncio.Future[frames.Exit] = asyncio.get_running_loop().create_future()
        self._place, self._take = node, take
        outgoing, incoming = subjects.stream_input(node, session), subjects.stream_output(node, session)
        self.frames = FrameSession(client.bus, outgoing, incoming, self._on_frame)

    def _on_frame(self, frame: Received) -> None:
        if self.ended.done():
            return
        if isinstance(frame, frames.Data):
            self._take(frame.channel, frame.data)
            self.frames.consumed(len(frame.data))
        elif isinstance(frame, frames.Exit):
            self.ended.set_result(frame)
        elif isinstance(frame, frames.StreamError):
            self.ended.set_exception(UserError(f"{self._place}: {frame.message}"))


async def _run(
    client: Operator,
    node: str,
    take: Take,
    open_session: Callable[[str], Awaitable[None]],
    stop: asyncio.Event | None = None,
) -> frames.Exit:
    session = hexadecimal(client.random, 16)
    output = _Output(client, node, session, take)
    await client.bus.flush()
    loop = asyncio.get_running_loop()
    running = [loop.create_task(output.frames.stay_alive())]
    try:
        await open_session(session)
        if stop is not None:
            running.append(loop.create_task(_end_input(output.frames, stop)))
        return await output.ended
    finally:
        for task in running:
            task.cancel()
        output.frames.fail("the client is gone")


async def _end_input(session: FrameSession, stop: asyncio.Event) -> None:
    await stop.wait()
    session.close_input()


async def run_capture(
    client: Operator,
    node: str,
    call: Callable[[str], messages.Capture],
    take: Take,
    stop: asyncio.Event,
    on_open: Callable[[], None],
) -> None:
    """Captures on a machine until `stop` is set; `call` makes the request of a session's name. Raises UserError."""

    async def open_session(session: str) -> None:
        answer = await client.ask_machine(node, call(session))
        if isinstance(answer, messages.Refused):
            raise UserError(f"{node}: {answer.message}")
        on_open()

    await _run(client, node, take, open_session, stop)


async def run_shell(client: Operator, node: str, line: str, take: Take) -> int:
    """Runs a command line on a machine; its exit code. Raises UserError."""

    async def open_session(session: str) -> None:
        answer = await client.ask_machine(node, messages.Shell(session=session, command=line))
        if isinstance(answer, messages.Refused):
            raise UserError(f"{node}: {answer.message}")

    return (await _run(client, node, take, open_session)).code


async def run_in_pod(client: Operator, pod: dict[str, object], command: list[str], take: Take) -> int:
    """Runs a program in a pod's first container, through its kubelet; its exit code. Raises UserError."""
    metadata, spec = _section(pod, "metadata"), _section(pod, "spec")
    containers = spec["containers"]
    assert isinstance(containers, list)
    node = str(spec["nodeName"])

    async def open_session(session: str) -> None:
        request = frames.ExecRequest(
            session=session,
            namespace=str(metadata["namespace"]),
            pod=str(metadata["name"]),
            uid=str(metadata["uid"]),
            container=containers[0]["name"],
            command=command,
        )
        try:
            answer = await pieces.request(client.bus, subjects.kubelet(node), codec.encode(request), 10)
        except BusError as error:
            raise UserError(f"the kubelet of {node} does not answer: {error}") from None
        reply: frames.KubeletReply = codec.decode_union(frames.KubeletReply, answer)
        if isinstance(reply, frames.StreamRefused):
            raise UserError(reply.message)

    end = await _run(client, node, take, open_session)
    if end.message:
        raise UserError(end.message)
    return end.code


def _section(body: dict[str, object], name: str) -> dict[str, object]:
    value = body[name]
    assert isinstance(value, dict)
    return value
